//! What the subscriptions do, as it is seen on the wire and in the events.

use std::time::Duration;

use super::*;
use crate::error::ServerError;
use crate::testing::{BOTH, Ends, blobs};

const NOPERM: &str = "-NOPERM No permissions to access a channel";
const NO_COMMAND: &str = "-NOPERM User u has no permissions to run the 'unsubscribe' command";
const BUSY: &str = "-BUSY Redis is busy running a script.";

// ---- requests ----

#[test]
fn ps_02_a_request_of_no_names_is_done_and_sends_nothing() {
    let mut ends = Ends::new(BOTH[0]);
    let op = ends.subscribe(&[]);
    ends.unsubscribe(&[]);
    assert_eq!(ends.events(), ["done", "done"]);
    assert!(!ends.core.is_open(op));
    assert!(ends.sends().is_empty() && ends.core.is_idle());
}

#[test]
fn ps_04_each_name_is_confirmed_in_order_and_then_the_request_is_done() {
    for protocol in BOTH {
        let mut ends = Ends::new(protocol);
        ends.subscribe(&["a", "b", "a"]);
        assert_eq!(ends.sends(), ["SUBSCRIBE a b a"]);
        let events = ends.hears(&["subscribe a 1", "subscribe b 2", "subscribe a 2"]);
        assert_eq!(
            events,
            ["subscribe a 1", "subscribe b 2", "subscribe a 2", "done"]
        );
        assert_eq!(ends.wanted(), ["a", "b"]);
    }
}

#[test]
fn ps_06_unsubscribing_from_all_of_nothing_leaves_no_frame_behind() {
    let mut ends = Ends::new(BOTH[1]);
    for kind in SubscriptionKind::ALL {
        assert!(ends.core.unsubscribe_all(kind).is_none());
    }
    assert!(ends.sends().is_empty());
}

#[test]
fn ps_06_a_name_that_was_never_subscribed_is_confirmed_as_well() {
    for protocol in BOTH {
        let mut ends = Ends::subscribed(protocol, &["a"]);
        ends.unsubscribe(&["b"]);
        assert_eq!(ends.sends(), ["UNSUBSCRIBE b", "PING"]);
        let events = ends.hears(&["unsubscribe b 1", "pong "]);
        assert_eq!(events, ["unsubscribe b 1", "done"]);
        assert_eq!(ends.core.list().len(), 1, "nothing is left of it");
    }
}

#[test]
fn ps_06_without_a_connection_the_end_is_confirmed_at_once() {
    let mut ends = Ends::subscribed(BOTH[1], &["a", "b"]);
    assert!(ends.lose().is_empty());
    ends.unsubscribe(&["a"]);
    // What was missed since the loss is missed before its end.
    let events = ["gap Disconnected a", "unsubscribe a 1", "done"];
    assert_eq!(ends.events(), events);
    ends.connect();
    assert_eq!(ends.sends(), ["SUBSCRIBE b"]);
    let events = ends.hears(&["subscribe b 1"]);
    assert_eq!(events, ["subscribe b 1", "gap Disconnected b"]);
}

#[test]
fn ps_08_subscribe_unsubscribe_subscribe_is_confirmed_as_1_0_1_and_stays_over_a_reconnect() {
    for protocol in BOTH {
        let mut ends = Ends::new(protocol);
        ends.subscribe(&["a"]);
        ends.unsubscribe(&["a"]);
        ends.subscribe(&["a"]);
        assert_eq!(
            ends.sends(),
            ["SUBSCRIBE a", "UNSUBSCRIBE a", "PING", "SUBSCRIBE a"]
        );
        let events = ends.hears(&["subscribe a 1", "unsubscribe a 0", "+PONG", "subscribe a 1"]);
        assert_eq!(
            events,
            [
                "subscribe a 1",
                "done",
                "unsubscribe a 0",
                "done",
                "subscribe a 1",
                "done"
            ]
        );
        ends.lose();
        ends.connect();
        assert_eq!(ends.sends(), ["SUBSCRIBE a"]);
    }
}

#[test]
fn ps_08_a_reconnect_never_undoes_an_unsubscription() {
    let mut ends = Ends::subscribed(BOTH[0], &["a", "b"]);
    ends.unsubscribe(&["a"]);
    ends.sends();
    assert_eq!(
        ends.lose(),
        ["gap Disconnected a", "unsubscribe a 1", "done"]
    );
    ends.connect();
    // Not from the replay, either, that is on its way.
    ends.unsubscribe(&["b"]);
    assert_eq!(ends.sends(), ["UNSUBSCRIBE b", "PING"]);
    assert_eq!(
        ends.hears(&["unsubscribe b 0", "+PONG"]),
        ["gap Disconnected b", "unsubscribe b 0", "done"]
    );
    assert!(ends.core.is_idle());
}

// ---- refusals ----

#[test]
fn ps_03_a_refused_name_spoils_no_other_and_leaves_the_wanted_set_as_it_was() {
    for protocol in BOTH {
        let mut ends = Ends::new(protocol);
        ends.subscribe(&["a", "b", "c"]);
        assert_eq!(ends.sends(), ["SUBSCRIBE a b c"]);
        assert!(ends.hears(&[NOPERM]).is_empty());
        assert_eq!(ends.sends(), ["SUBSCRIBE a", "SUBSCRIBE b", "SUBSCRIBE c"]);
        let events = ends.hears(&["subscribe a 1", NOPERM, "subscribe c 2"]);
        assert_eq!(events, ["subscribe a 1", "subscribe c 2", "done b: NOPERM"]);
        assert_eq!(ends.wanted(), ["a", "c"]);
    }
}

#[test]
fn ps_03_what_is_asked_for_alone_does_not_come_back_behind_its_end() {
    let mut ends = Ends::new(BOTH[1]);
    ends.subscribe(&["a", "b"]);
    ends.unsubscribe(&["a"]);
    ends.subscribe(&["a"]);
    assert_eq!(ends.sends().len(), 4);
    // The newest subscription to `a` is refused as well: then its end was the last word.
    let events = ends.hears(&[NOPERM, "unsubscribe a 0", "+PONG", BUSY]);
    assert_eq!(events, ["unsubscribe a 0", "done", "done a: BUSY"]);
    assert_eq!(ends.sends(), ["SUBSCRIBE b"]);
    assert_eq!(ends.hears(&["subscribe b 1"]), ["subscribe b 1", "done"]);
    assert_eq!(ends.wanted(), ["b"]);
}

#[test]
fn ps_03_a_refusal_takes_back_no_name_that_another_request_asks_for() {
    for protocol in BOTH {
        let mut ends = Ends::new(protocol);
        ends.subscribe(&["a"]);
        ends.subscribe(&["a"]);
        ends.sends();
        let events = ends.hears(&[BUSY, "subscribe a 1"]);
        assert_eq!(events, ["done a: BUSY", "subscribe a 1", "done"]);
        assert_eq!(ends.wanted(), ["a"], "the server has it");
    }
}

#[test]
fn ps_03_a_name_refused_behind_its_end_is_not_wanted() {
    let mut ends = Ends::new(BOTH[0]);
    ends.subscribe(&["a"]);
    ends.unsubscribe(&["a"]);
    ends.subscribe(&["a"]);
    ends.sends();
    let events = ends.hears(&["subscribe a 1", "unsubscribe a 0", "+PONG", NOPERM]);
    assert_eq!(events.last().unwrap(), "done a: NOPERM");
    assert!(ends.core.is_idle(), "{:?}", ends.core.list());
}

#[test]
fn ps_07_an_unsubscription_that_is_refused_is_no_end() {
    for protocol in BOTH {
        for (error, pong) in [(BUSY, BUSY), (BUSY, "+PONG"), (NO_COMMAND, "pong ")] {
            let mut ends = Ends::subscribed(protocol, &["a"]);
            ends.unsubscribe(&["a", "never"]);
            ends.sends();
            let code = ServerError::new(&error.as_bytes()[1..]).code().to_owned();
            let events = ends.hears(&[error, pong, "message a 1"]);
            let done = format!("done a: {code}");
            assert_eq!(events, ["unsubscribe never 1", &done, "message a 1"]);
            assert_eq!(ends.wanted(), ["a"]);
        }
    }
}

#[test]
fn ps_07_a_refused_unsubscription_leaves_a_newer_one_alone() {
    let mut ends = Ends::subscribed(BOTH[1], &["a"]);
    ends.unsubscribe(&["a"]);
    ends.unsubscribe(&["a"]);
    ends.sends();
    let events = ends.hears(&[BUSY, BUSY, "unsubscribe a 0", "+PONG"]);
    assert_eq!(events, ["done a: BUSY", "unsubscribe a 0", "done"]);
    assert!(ends.core.is_idle());
}

#[test]
fn an_unsubscription_outside_of_pubsub_mode_is_an_end_to_valkey_8_0_too() {
    for protocol in BOTH {
        let mut ends = Ends::new(protocol);
        ends.unsubscribe(&["a", "b"]);
        ends.sends();
        ends.request("ping", 1);
        let nosub = "-NOSUB 'unsubscribe' command executed not in subscribed mode";
        let events = ends.hears(&[nosub, "+PONG", "+mine"]);
        assert_eq!(
            events,
            [
                "unsubscribe a 0",
                "unsubscribe b 0",
                "done",
                "+mine for ping"
            ]
        );
        assert!(ends.core.is_idle());
    }
}

#[test]
fn a_busy_server_is_asked_again_for_all_at_once_and_not_for_what_is_on_its_way() {
    let mut ends = Ends::subscribed(BOTH[0], &["a", "b", "c"]);
    ends.lose();
    ends.connect();
    assert_eq!(ends.sends(), ["SUBSCRIBE a b c"]);
    assert!(
        ends.hears(&[BUSY]).is_empty(),
        "it will pass: nothing to tell"
    );
    for _ in 0..3 {
        assert!(ends.sends().is_empty(), "not yet");
        ends.now = ends.core.poll_timeout().unwrap();
        assert_eq!(ends.sends(), ["SUBSCRIBE a b c"]);
        ends.now += Duration::from_secs(60);
        assert!(ends.sends().is_empty(), "it is on its way");
        assert!(ends.hears(&[BUSY]).is_empty());
    }
    ends.now = ends.core.poll_timeout().unwrap();
    ends.sends();
    let events = ends.confirms("subscribe", &["a", "b", "c"]);
    assert_eq!(events.last().unwrap(), "gap Disconnected a b c");
    assert_eq!(ends.core.poll_timeout(), None);
}

// ---- losses ----

#[test]
fn rc_01_every_name_is_subscribed_again_by_kind_and_each_frame_finds_its_own() {
    for protocol in BOTH {
        let mut ends = Ends::subscribed(protocol, &["a", "b"]);
        ends.core
            .subscribe(SubscriptionKind::Pattern, blobs(&["a"]));
        ends.sends();
        ends.hears(&["psubscribe a 3"]);
        ends.lose();
        ends.connect();
        ends.request("ping", 1);
        assert_eq!(
            ends.sends(),
            ["SUBSCRIBE a b", "PSUBSCRIBE a"],
            "never without names"
        );
        let events = ends.hears(&[
            "+PONG",
            "subscribe a 1",
            "message a 1",
            "subscribe b 2",
            "psubscribe a 3",
            "message b 2",
        ]);
        assert_eq!(
            events,
            [
                "+PONG for ping",
                "subscribe a 1",
                "gap Disconnected a",
                "message a 1",
                "subscribe b 2",
                "psubscribe a 3",
                "gap Disconnected b a",
                "message b 2",
            ]
        );
    }
}

#[test]
fn rc_02_what_was_not_told_before_the_next_loss_is_told_since_the_first_by_kind() {
    let second = Duration::from_secs(1);
    let mut ends = Ends::subscribed(BOTH[1], &["a"]);
    ends.core
        .subscribe(SubscriptionKind::Pattern, blobs(&["a"]));
    ends.sends();
    ends.hears(&["psubscribe a 2"]);
    let first = ends.now;
    ends.lose();
    ends.now += second;
    ends.connect();
    ends.sends();
    // The channel's gap is told for its message, the pattern's is not.
    assert_eq!(ends.hears(&["subscribe a 1", "message a 1"]).len(), 3);
    assert_eq!(ends.gap_since, Some(first));
    ends.now += second;
    ends.hears(&["message a 2"]);
    assert!(ends.lose().is_empty());
    ends.connect();
    ends.sends();
    let events = ends.hears(&["subscribe a 1", "message a 3"]);
    assert_eq!(
        events,
        ["subscribe a 1", "gap Disconnected a", "message a 3"]
    );
    assert_eq!(ends.gap_since, Some(first + second * 2));
    ends.hears(&["psubscribe a 2"]);
    assert_eq!(ends.gap_since, Some(first));
}

#[test]
fn rc_02_the_gap_of_a_name_stands_before_its_end() {
    let mut ends = Ends::subscribed(BOTH[0], &["a", "b", "c"]);
    ends.lose();
    ends.connect();
    ends.sends();
    ends.hears(&["subscribe a 1", "subscribe b 2"]);
    ends.unsubscribe(&["a"]);
    ends.sends();
    let events = ends.hears(&["subscribe c 3", "unsubscribe a 2", "pong ", "message b 1"]);
    assert_eq!(
        events,
        [
            "subscribe c 3",
            "gap Disconnected a b c",
            "unsubscribe a 2",
            "done",
            "message b 1"
        ]
    );
}

#[test]
fn rc_04_a_permission_that_was_revoked_is_reported_once_and_asked_for_from_time_to_time() {
    for protocol in BOTH {
        let mut ends = Ends::subscribed(protocol, &["a", "b"]);
        for round in 0..3 {
            ends.lose();
            ends.connect();
            ends.sends();
            ends.hears(&[NOPERM]);
            assert_eq!(ends.sends(), ["SUBSCRIBE a", "SUBSCRIBE b"]);
            let events = ends.hears(&[NOPERM, "subscribe b 1"]);
            let report = (round == 0).then_some("refused subscribe a: NOPERM");
            let told = report
                .into_iter()
                .chain(["subscribe b 1", "gap Disconnected b"]);
            assert!(events.iter().map(String::as_str).eq(told), "{events:?}");
        }
        // A server that is busy in between does not make it news.
        for answer in [BUSY, NOPERM] {
            ends.now = ends.core.poll_timeout().unwrap();
            assert_eq!(ends.sends(), ["SUBSCRIBE a"]);
            assert!(ends.hears(&[answer]).is_empty());
        }
        ends.now = ends.core.poll_timeout().unwrap();
        ends.sends();
        assert_eq!(
            ends.hears(&["subscribe a 2"]),
            ["subscribe a 2", "gap Disconnected a"]
        );
    }
}

#[test]
fn rc_05_a_hundred_thousand_names_lost_twice_while_they_are_subscribed_again_come_back_once_each() {
    const NAMES: usize = 100_000;
    let names: Vec<Blob> = (0..NAMES)
        .map(|at| Blob::from(format!("channel:{at}").as_str()))
        .collect();
    let mut core = Subscriptions::new();
    let now = Instant::now();
    let kind = SubscriptionKind::Channel;
    let (mut commands, mut bytes, mut events) = (0, 0, 0);
    // Confirms up to `most` names, a window at a time, as the server would.
    let mut serve = |core: &mut Subscriptions, most: usize| {
        let (mut out, mut confirmed) = (Vec::new(), 0);
        while core.poll_transmit(&mut out, now) {
            commands += 1;
            bytes += out.len();
            let words = crate::resp::Reply::parse(&out)
                .unwrap()
                .into_elements()
                .unwrap();
            let words: Vec<Blob> = words
                .map(|word| Blob::copy_from(word.unwrap().as_bytes().unwrap()))
                .collect();
            let verb = if words[0] == "SUBSCRIBE" {
                Verb::Subscribe
            } else {
                Verb::Unsubscribe
            };
            for name in &words[1..] {
                if confirmed == most {
                    break;
                }
                confirmed += 1;
                core.handle_confirmation(verb, kind, Some(name), 1, true, now)
                    .unwrap();
            }
            if verb == Verb::Unsubscribe {
                assert!(core.handle_pong());
            }
            out.clear();
            events += std::iter::from_fn(|| core.poll_event()).count();
        }
        confirmed
    };
    core.subscribe(kind, names);
    for most in [usize::MAX, 33_333, 66_666] {
        core.connected();
        assert_eq!(serve(&mut core, most), most.min(NAMES));
        core.lost(now, GapCause::Disconnected);
    }
    core.connected();
    assert_eq!(serve(&mut core, usize::MAX), NAMES);
    core.unsubscribe_all(kind);
    assert_eq!(serve(&mut core, usize::MAX), NAMES);
    assert!(core.is_idle());
    // Four subscriptions and one end, each name once, in commands of a thousand.
    assert!(commands <= 5 * NAMES / 1000, "{commands} commands");
    assert!(bytes <= 5 * NAMES * 32, "{bytes} bytes");
    // One confirmation a name and time; gaps and answers are few.
    assert!(events <= NAMES * 4 + 10, "{events} events");
}

#[test]
fn only_so_many_names_are_on_the_wire_without_an_answer() {
    let mut core = Subscriptions::new();
    core.connected();
    let names = (0..100_000)
        .map(|at: u32| Blob::from(&at.to_be_bytes()[..]))
        .collect();
    core.subscribe(SubscriptionKind::Channel, names);
    let mut out = Vec::new();
    let commands = std::iter::repeat_with(|| core.poll_transmit(&mut out, Instant::now()));
    assert_eq!(
        commands.take_while(|more| *more).count(),
        WINDOW_NAMES / BURST_NAMES
    );
}

// ---- shard channels ----

#[test]
fn sh_01_shard_channels_of_two_slots_never_go_in_one_command() {
    let mut ends = Ends::new(BOTH[1]);
    ends.ssubscribe(&["a", "b", "{t}1", "x{t}2", "{}", "{}"]);
    let sent = [
        "SSUBSCRIBE a",
        "SSUBSCRIBE b",
        "SSUBSCRIBE {t}1 x{t}2",
        "SSUBSCRIBE {} {}",
    ];
    assert_eq!(ends.sends(), sent);
    ends.sunsubscribe(&["a", "b"]);
    assert_eq!(
        ends.sends(),
        ["SUNSUBSCRIBE a", "PING", "SUNSUBSCRIBE b", "PING"]
    );
}

#[test]
fn sh_05_an_unasked_sunsubscribe_answers_nobody_and_asks_again() {
    for protocol in BOTH {
        let mut ends = Ends::ssubscribed(protocol, &["a"]);
        ends.request("first", 1);
        ends.request("second", 1);
        let events = ends.hears(&["sunsubscribe a 0", "+1", "+2"]);
        assert_eq!(events, ["revoked a", "+1 for first", "+2 for second"]);
        assert_eq!(ends.sends(), ["SSUBSCRIBE a"]);
        let events = ends.hears(&["ssubscribe a 1", "smessage a 1"]);
        assert_eq!(
            events,
            ["ssubscribe a 1", "gap SlotMoved a", "smessage a 1"]
        );
    }
}

#[test]
fn sh_05_a_sunsubscribe_among_the_confirmations_of_other_names_answers_none_of_them() {
    let mut ends = Ends::ssubscribed(BOTH[0], &["a"]);
    ends.ssubscribe(&["b{t}", "c{t}"]);
    ends.sends();
    let events = ends.hears(&["ssubscribe b{t} 2", "sunsubscribe a 1", "ssubscribe c{t} 2"]);
    assert_eq!(
        events,
        [
            "ssubscribe b{t} 2",
            "revoked a",
            "ssubscribe c{t} 2",
            "done"
        ]
    );
}

#[test]
fn sh_05_a_slot_that_moves_under_an_unsubscription_ends_it_once_whatever_the_reply_is() {
    for protocol in BOTH {
        for reply in [
            "sunsubscribe a 0",
            "-MOVED 449 127.0.0.1:19100",
            "-NOSUB 'sunsubscribe' command executed not in subscribed mode",
            "-CLUSTERDOWN Hash slot not served",
        ] {
            let mut ends = Ends::ssubscribed(protocol, &["a"]);
            ends.sunsubscribe(&["a"]);
            ends.sends();
            ends.request("ping", 1);
            let events = ends.hears(&["sunsubscribe a 0", reply, "+PONG", "+mine"]);
            assert_eq!(
                events,
                ["sunsubscribe a 0", "done", "+mine for ping"],
                "{reply}"
            );
            assert!(ends.core.is_idle());
        }
    }
}

#[test]
fn sh_05_what_cannot_be_told_from_the_fence_starts_the_connection_anew() {
    let mut ends = Ends::ssubscribed(BOTH[1], &["a"]);
    ends.sunsubscribe(&["a"]);
    ends.sends();
    ends.request("ping", 1);
    let error = ends
        .try_hears(&["sunsubscribe a 0", BUSY, "+PONG"])
        .unwrap_err();
    assert!(
        error.to_string().contains("SUNSUBSCRIBE or PING"),
        "{error}"
    );
}

#[test]
fn sh_05_a_name_wanted_again_behind_its_end_is_subscribed_or_refused() {
    let mut ends = Ends::ssubscribed(BOTH[1], &["a{t}", "b{t}"]);
    ends.sunsubscribe(&["a{t}", "b{t}"]);
    ends.ssubscribe(&["b{t}"]);
    ends.sends();
    // The slot bounces; the script that starts then refuses all three commands.
    let events = ends.hears(&["sunsubscribe b{t} 1", BUSY, BUSY, BUSY]);
    // Whoever asked for it again is told that it was refused; nothing is sent behind his back.
    assert_eq!(
        events,
        ["sunsubscribe b{t} 1", "done a{t}: BUSY", "done b{t}: BUSY"]
    );
    assert!(ends.sends().is_empty());
    assert_eq!(ends.wanted(), ["a{t}"]);
}

// ---- out of step ----

#[test]
fn a_confirmation_that_nobody_asked_for_is_an_error() {
    for protocol in BOTH {
        let mut ends = Ends::subscribed(protocol, &["a"]);
        assert!(ends.try_hears(&["subscribe b 2"]).is_err());
        let mut ends = Ends::subscribed(protocol, &["a"]);
        ends.subscribe(&["b", "c"]);
        ends.sends();
        assert!(ends.try_hears(&["subscribe c 2"]).is_err());
        let mut ends = Ends::subscribed(protocol, &["a"]);
        ends.subscribe(&["b", "c"]);
        ends.sends();
        assert!(ends.try_hears(&["subscribe b 2", NOPERM]).is_err());
        let mut ends = Ends::new(protocol);
        ends.subscribe(&["b"]);
        ends.sends();
        assert!(ends.try_hears(&["+OK"]).is_err());
    }
}
