use proptest::prelude::*;

use super::*;

fn of(text: &str) -> Option<Redirect> {
    Redirect::of(&ServerError::new(text.as_bytes()))
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn moved() -> Redirect {
    of("MOVED 1 a:7000").unwrap()
}

fn ask() -> Redirect {
    of("ASK 1 b:7000").unwrap()
}

/// `at once to a`, `after 5..10 ms to b asking`, … with the bounds of a pause that was drawn from its upper half.
fn step(redirections: &mut Redirections, redirect: &Redirect, now: Instant) -> String {
    let when = |pause: Duration| {
        let longest = [0, 10, 20, 40, 80, 100]
            .into_iter()
            .find(|longest| pause <= ms(*longest))
            .unwrap();
        assert!(pause >= ms(longest) / 2, "{pause:?}");
        if longest == 0 {
            "at once".to_owned()
        } else {
            format!("after {longest} ms")
        }
    };
    match redirections.next(redirect, now) {
        Next::To {
            node,
            asking,
            pause,
        } => {
            let asking = if asking { " asking" } else { "" };
            format!(
                "{} to {}{asking}",
                when(pause),
                node.host().unwrap_or_default()
            )
        }
        Next::LookUp { pause, at_primary } => {
            let whom = if at_primary { " at the primary" } else { "" };
            format!("{} again{whom}", when(pause))
        }
        Next::GiveUp => "no more".to_owned(),
    }
}

fn limits() -> RedirectLimits {
    RedirectLimits::default().pauses(ms(10), ms(100))
}

#[test]
fn a_redirection_says_its_slot_and_where_to() {
    for (text, host, port) in [
        ("MOVED 16383 127.0.0.1:7000", Some("127.0.0.1"), 7000),
        (
            "MOVED 0 node-1.example.net:7001",
            Some("node-1.example.net"),
            7001,
        ),
        ("MOVED 449 2001:db8::1:7002", Some("2001:db8::1"), 7002),
        ("MOVED 449 [2001:db8::1]:7002", Some("2001:db8::1"), 7002),
        ("MOVED 449 :7003", None, 7003),
        ("MOVED 449 ?:7004", None, 7004),
        ("ASK 449 127.0.0.1:7005 and more", Some("127.0.0.1"), 7005),
    ] {
        match of(text) {
            Some(Redirect::Moved { to, .. } | Redirect::Ask { to, .. }) => {
                assert_eq!((to.host(), to.port()), (host, port), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_is_written_otherwise_is_an_error_like_any_other() {
    for text in [
        "MOVED",
        "MOVED 1",
        "MOVED x a:1",
        "MOVED 16384 a:1",
        "MOVED -1 a:1",
        "MOVED 1 a",
        "MOVED 1 a:0",
        "ASK 1  a:1",
        "moved 1 a:1",
        "ERR MOVED 1 a:1",
        "ASKING",
        "",
    ] {
        assert_eq!(of(text), None, "{text}");
    }
}

#[test]
fn each_error_of_a_cluster_has_its_meaning() {
    for (text, expected, is_map_old) in [
        (
            "TRYAGAIN Multiple keys request during rehashing of slot",
            Redirect::TryAgain,
            false,
        ),
        ("CLUSTERDOWN Hash slot not served", Redirect::Down, true),
        ("CLUSTERDOWN The cluster is down", Redirect::Down, true),
        (
            "LOADING Redis is loading the dataset in memory",
            Redirect::Loading,
            false,
        ),
        (
            "MASTERDOWN Link with MASTER is down and …",
            Redirect::PrimaryDown,
            true,
        ),
        (
            "READONLY You can't write against a read only replica.",
            Redirect::ReadOnly,
            true,
        ),
        (
            "CROSSSLOT Keys in request don't hash to the same slot",
            Redirect::CrossSlot,
            false,
        ),
    ] {
        assert_eq!(of(text), Some(expected.clone()), "{text}");
        assert_eq!(expected.is_map_old(), is_map_old, "{text}");
    }
    assert!(moved().is_map_old() && !ask().is_map_old());
}

#[test]
fn a_slot_on_its_way_is_followed_without_a_pause() {
    let now = Instant::now();
    let mut redirections = Redirections::new(&limits(), now);
    assert_eq!(step(&mut redirections, &moved(), now), "at once to a");
    assert_eq!(step(&mut redirections, &ask(), now), "at once to b asking");
    let mut redirections = Redirections::new(&limits(), now);
    assert_eq!(step(&mut redirections, &ask(), now), "at once to b asking");
}

#[test]
fn two_nodes_that_send_a_command_to_each_other_get_it_with_pauses_and_not_for_ever() {
    let now = Instant::now();
    let mut redirections = Redirections::new(&limits().attempts(5), now);
    let steps: Vec<String> = (0..6)
        .map(|_| step(&mut redirections, &moved(), now))
        .collect();
    assert_eq!(
        steps,
        [
            "at once to a",
            "after 10 ms to a",
            "after 20 ms to a",
            "after 40 ms to a",
            "after 80 ms to a",
            "no more"
        ]
    );
    assert_eq!(redirections.followed(), 5);
}

#[test]
fn a_cluster_that_is_down_is_waited_for_until_patience_ends() {
    let start = Instant::now();
    let mut redirections = Redirections::new(&limits().patience(Duration::from_secs(1)), start);
    let mut now = start;
    let mut attempts = 0;
    loop {
        match redirections.next(&Redirect::Down, now) {
            Next::LookUp { pause, at_primary } => {
                assert!(!at_primary && !pause.is_zero());
                now += pause;
            }
            other => break assert_eq!(other, Next::GiveUp),
        }
        attempts += 1;
    }
    assert!(now <= start + Duration::from_secs(1));
    assert!(now >= start + ms(900), "it gave up after {:?}", now - start);
    assert!((10..30).contains(&attempts), "{attempts}");
}

#[test]
fn a_replica_that_cannot_serve_leaves_the_command_to_the_primary() {
    let now = Instant::now();
    for redirect in [Redirect::Loading, Redirect::PrimaryDown] {
        let mut redirections = Redirections::new(&limits(), now);
        assert_eq!(
            step(&mut redirections, &redirect, now),
            "after 10 ms again at the primary"
        );
    }
    for redirect in [Redirect::ReadOnly, Redirect::TryAgain] {
        let mut redirections = Redirections::new(&limits(), now);
        assert_eq!(step(&mut redirections, &redirect, now), "after 10 ms again");
    }
}

#[test]
fn keys_of_several_slots_are_not_tried_again() {
    let now = Instant::now();
    assert_eq!(
        Redirections::new(&limits(), now).next(&Redirect::CrossSlot, now),
        Next::GiveUp
    );
}

#[test]
fn a_node_that_is_lost_leaves_time_for_another() {
    let now = Instant::now();
    let mut redirections = Redirections::new(&limits(), now);
    let Next::LookUp { pause, .. } = redirections.next_after_loss(now) else {
        panic!("it gives up");
    };
    assert!((ms(5)..=ms(10)).contains(&pause));
    assert_eq!(
        redirections.next_after_loss(now + Duration::from_secs(31)),
        Next::GiveUp
    );
}

#[test]
fn a_slot_that_was_handed_over_after_its_time_is_given_up() {
    let now = Instant::now();
    let mut redirections = Redirections::new(&limits().patience(ms(50)), now);
    assert_eq!(redirections.next(&ask(), now + ms(51)), Next::GiveUp);
    let mut endless = Redirections::new(&limits().patience(Duration::MAX), now);
    assert_ne!(
        endless.next(&ask(), now + Duration::from_secs(1 << 30)),
        Next::GiveUp
    );
}

proptest! {
    #[test]
    fn no_text_makes_a_redirection_panic(text in "(MOVED|ASK)[ :?0-9a-z.\\[\\]-]{0,30}|.{0,20}") {
        if let Some(Redirect::Moved { to, .. } | Redirect::Ask { to, .. }) = of(&text) {
            prop_assert!(to.port() > 0);
        }
    }

    /// However servers answer, a command ends: within its patience and its number of redirections.
    #[test]
    fn every_command_comes_to_an_end(kinds in prop::collection::vec(0..8_usize, 500)) {
        let all = [
            moved(), ask(), Redirect::TryAgain, Redirect::Down, Redirect::Loading, Redirect::PrimaryDown,
            Redirect::ReadOnly, moved(),
        ];
        let start = Instant::now();
        let mut redirections = Redirections::new(&limits().patience(Duration::from_secs(2)), start);
        let mut now = start;
        let mut ended = false;
        for kind in kinds {
            match redirections.next(&all[kind], now) {
                Next::To { pause, .. } | Next::LookUp { pause, .. } => now += pause,
                Next::GiveUp => {
                    ended = true;
                    break;
                }
            }
        }
        prop_assert!(ended && now <= start + Duration::from_secs(2));
    }
}
