//! What one connection makes of what it hears.

use super::*;
use crate::resp::excerpt;
use crate::testing::{BOTH, Ends, INTERVAL, TIMEOUT, commands};

const RESP2: Protocol = Protocol::Resp2;
const RESP3: Protocol = Protocol::Resp3;

#[test]
fn replies_go_to_requests_in_order_and_pushes_to_none() {
    let mut ends = Ends::subscribed(RESP3, &["a"]);
    for (token, replies) in [("one", 1), ("three", 3), ("last", 1)] {
        ends.request(token, replies);
    }
    let events = ends.hears(&[
        "+1",
        "message a x",
        ":1",
        ":2",
        "message a y",
        ":3",
        "-ERR no",
    ]);
    assert_eq!(
        events,
        [
            "+1 for one",
            "message a x",
            ":1 :2",
            "message a y",
            ":3 for three",
            "-ERR no for last"
        ]
    );
    assert_eq!(ends.connection.in_flight(), 0);
}

#[test]
fn in_resp2_a_message_between_the_answers_of_one_request_is_a_message() {
    let mut ends = Ends::subscribed(RESP2, &["a"]);
    ends.request("two", 2);
    let events = ends.hears(&["pong ", "message a x", "pong "]);
    assert_eq!(
        events,
        ["*2 $4 pong $0", "message a x", "*2 $4 pong $0 for two"]
    );
}

#[test]
fn th_03_requests_without_an_answer_are_given_back_in_order() {
    let mut ends = Ends::new(RESP3);
    ends.request("one", 2);
    ends.subscribe(&["a"]);
    ends.sends();
    ends.request("two", 1);
    ends.hears(&[":1"]);
    assert_eq!(
        ends.connection.into_requests().collect::<Vec<_>>(),
        ["one", "two"]
    );
}

#[test]
fn a_refused_subscription_takes_no_other_commands_place() {
    for protocol in BOTH {
        let mut ends = Ends::new(protocol);
        ends.request("before", 1);
        ends.subscribe(&["a"]);
        ends.sends();
        ends.request("after", 1);
        let events = ends.hears(&["+1", "-NOPERM no", "+2"]);
        assert_eq!(events, ["+1 for before", "done a: NOPERM", "+2 for after"]);
    }
}

#[test]
fn ps_12_a_pong_in_either_shape_answers_its_ping_and_is_no_message() {
    for protocol in BOTH {
        for shape in [
            "pong ",
            "+PONG",
            "-BUSY a script",
            "-NOPERM no",
            "-LOADING data",
        ] {
            let mut ends = Ends::subscribed(protocol, &["a"]);
            ends.request("ping", 1);
            let events = ends.hears(&[shape, "message a x"]);
            assert!(events[0].ends_with(" for ping"), "{events:?}");
            assert_eq!(events[1], "message a x");
        }
    }
}

#[test]
fn a_reply_that_nothing_asked_for_is_an_error_that_shows_it() {
    for protocol in BOTH {
        let error = Ends::new(protocol).try_hears(&["+hello"]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&excerpt(b"+hello\r\n").to_string()),
            "{error}"
        );
        assert!(
            Ends::new(protocol)
                .try_hears(&["HTTP/1.1 400 Bad Request"])
                .is_err()
        );
    }
}

#[test]
fn pl_09_a_push_inside_an_exec_array_is_a_push_and_each_reply_stays_at_its_place() {
    let mut ends = Ends::subscribed(RESP3, &["a"]);
    ends.request("exec", 1);
    ends.request("next", 1);
    let wire = b"*3\r\n+OK\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n:7\r\n:1\r\n$1\r\n1\r\n+next\r\n";
    // The payload of a message is a string; a push that is none is handed on as it is.
    let odd = ends.try_reads(wire).unwrap();
    assert_eq!(odd.len(), 3, "{odd:?}");
    assert!(odd[1].starts_with("push "), "{odd:?}");

    let wire: &[u8] =
        b"*3\r\n+OK\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n:1\r\n$1\r\n1\r\n+next\r\n";
    for cut in 0..=wire.len() {
        let mut ends = Ends::subscribed(RESP3, &["a"]);
        ends.request("exec", 1);
        ends.request("next", 1);
        let mut events = ends.try_reads(&wire[..cut]).unwrap();
        events.extend(ends.try_reads(&wire[cut..]).unwrap());
        assert!(events[0].ends_with(" for exec"), "{events:?}");
        assert_eq!(events[1..], ["message a x", "+next for next"]);
    }
}

#[test]
fn pl_09_a_push_inside_an_array_waits_for_the_gap_that_stands_before_it() {
    let mut ends = Ends::subscribed(RESP3, &["a", "b"]);
    ends.lose();
    ends.connect();
    ends.sends();
    ends.request("exec", 1);
    let wire = b"*1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n:1\r\n";
    let mut events = ends.hears(&["subscribe a 1", "subscribe b 2"]);
    events.extend(ends.try_reads(wire).unwrap());
    assert_eq!(events[2], "gap Disconnected a b");
    assert_eq!(events[4], "message a x");
}

#[test]
fn an_attribute_belongs_to_the_push_or_the_reply_behind_it() {
    let mut ends = Ends::subscribed(RESP3, &["a"]);
    ends.request("two", 2);
    let message = "|1\r\n+ttl\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n";
    let wire = format!("{message}+1\r\n{message}|1\r\n+ttl\r\n:1\r\n+2\r\n");
    let events = ends.try_reads(wire.as_bytes()).unwrap();
    assert_eq!(
        events,
        ["message a x", "+1", "message a x", "|1 +ttl :1 +2 for two"]
    );
}

#[test]
fn the_limits_hold_for_messages_however_they_arrive() {
    let wire = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$50\r\n01234567890123456789012345678901234567890123456789\r\n";
    for (bulk, fine) in [(49, false), (50, true)] {
        for piece in [1, 30, wire.len()] {
            let mut ends = Ends::subscribed(RESP3, &["a"]);
            ends.limits.bulk = bulk;
            ends.connect();
            let read: Result<Vec<_>, _> = wire
                .chunks(piece)
                .map(|piece| ends.try_reads(piece))
                .collect();
            assert_eq!(read.is_ok(), fine, "{bulk} {piece}");
            let mut records = Vec::new();
            let mut ends = Ends::subscribed(RESP3, &["a"]);
            ends.limits.bulk = bulk;
            ends.connect();
            ends.connection
                .poll_messages(wire, &ends.core, &mut records);
            assert!(records.is_empty(), "it is the decoder's to say");
        }
    }
}

#[test]
fn ps_10_what_is_missing_of_a_large_payload_is_known_however_its_header_was_cut() {
    const SIZE: usize = 500_000_000;
    for protocol in BOTH {
        let head = if protocol == RESP2 { '*' } else { '>' };
        let wire = format!("{head}3\r\n$7\r\nmessage\r\n$1\r\na\r\n${SIZE}\r\nxx");
        for cut in 0..wire.len() {
            let mut ends = Ends::subscribed(protocol, &["a"]);
            for piece in [&wire[..cut], &wire[cut..]] {
                assert!(ends.try_reads(piece.as_bytes()).unwrap().is_empty());
            }
            assert_eq!(ends.connection.missing(), SIZE, "{cut}");
        }
        // One that the limits do not allow is refused before anything is made room for.
        let mut ends = Ends::subscribed(protocol, &["a"]);
        ends.limits.bulk = SIZE - 1;
        ends.connect();
        assert!(ends.try_reads(wire.as_bytes()).is_err());
    }
}

#[test]
fn lv_01_a_silent_peer_is_asked_and_then_dead_and_any_answer_is_life() {
    for protocol in BOTH {
        let mut ends = Ends::subscribed(protocol, &["a"]);
        let mut out = Vec::new();
        assert_eq!(
            ends.connection.poll_timeout(ends.now),
            Some(ends.now + INTERVAL)
        );
        ends.now += INTERVAL;
        assert!(ends.connection.handle_timeout(ends.now, &mut out));
        assert_eq!(commands(&out), ["PING"]);
        assert_eq!(ends.hears(&["pong "]), ["pong"]);
        ends.now += INTERVAL;
        assert!(ends.connection.handle_timeout(ends.now, &mut out));
        ends.now += TIMEOUT;
        assert!(!ends.connection.handle_timeout(ends.now, &mut out));
    }
}

#[test]
fn lv_02_a_pause_in_reading_is_no_silence_and_no_sign_of_life() {
    let mut ends = Ends::subscribed(RESP3, &["a"]);
    let heard = ends.now;
    let mut out = Vec::new();
    ends.connection.pause();
    ends.now += INTERVAL * 20;
    assert_eq!(ends.connection.poll_timeout(ends.now), None);
    assert!(ends.connection.handle_timeout(ends.now, &mut out) && out.is_empty());
    ends.connection.resume(ends.now);
    assert_eq!(
        ends.connection.poll_timeout(ends.now),
        Some(ends.now + INTERVAL)
    );
    // A gap would begin with what was surely heard.
    assert_eq!(ends.connection.last_heard(), heard);
}
