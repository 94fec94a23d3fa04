//! The monitor as an iterator.

use tidings::blocking::Monitor;

use crate::*;

/// The next command, in words, of those that the tests send.
fn next_set(monitor: &mut Monitor) -> Vec<String> {
    for item in monitor.timeout_iter(SOON) {
        let event = match item {
            Ok(event) => event,
            // Of a server that does not escape.
            Err(error) if error.kind() == ErrorKind::Decode => continue,
            Err(error) => panic!("{error:?}"),
        };
        let words = event.command().iter();
        let words: Vec<String> = words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        if words[0].eq_ignore_ascii_case("set") {
            return words;
        }
    }
    panic!("it was to come");
}

/// The first error that tells of a gap.
fn first_gap(monitor: &mut Monitor) -> tidings::Error {
    let errors = monitor.timeout_iter(SOON).filter_map(Result::err);
    let mut gaps = errors.filter(|error| error.gap().is_some());
    gaps.next().expect("there is a gap")
}

#[test]
fn mo_01_the_iterator_gives_each_command_that_the_server_runs() {
    on_each(|case| {
        let client = client(&case);
        let mut monitor = client.monitor().open().unwrap();
        client.set("a", "one").unwrap();
        assert_eq!(next_set(&mut monitor), ["SET", "a", "one"]);
        let setting = thread::spawn(move || {
            for n in 0..1000 {
                client.set("n", n).unwrap();
            }
        });
        for n in 0..1000 {
            assert_eq!(next_set(&mut monitor), ["SET", "n", &n.to_string()]);
        }
        setting.join().unwrap();
    });
}

#[test]
fn mo_02_a_quiet_server_ends_an_iterator_with_a_time_and_nothing_else() {
    on_each(|case| {
        let client = client(&case);
        let mut monitor = client.monitor().open().unwrap();
        let wait = Duration::from_millis(50);
        for n in 0..2 {
            let begin = Instant::now();
            let errors = monitor.timeout_iter(wait).filter_map(Result::err);
            let others = errors.filter(|error| error.kind() != ErrorKind::Decode);
            assert_eq!(others.count(), 0);
            assert!(begin.elapsed() >= wait);
            client.set("n", n).unwrap();
            assert_eq!(next_set(&mut monitor), ["SET", "n", &n.to_string()]);
        }
    });
}

#[test]
fn mo_02_a_loss_shows_as_a_gap_and_it_goes_on() {
    on_each(|case| {
        let client = Client::connect(config(&case)).unwrap();
        let mut monitor = client.monitor().open().unwrap();
        case.server.kill();
        case.server.restart();
        let lost = first_gap(&mut monitor);
        assert_eq!(lost.kind(), ErrorKind::Connection);
        eventually("the client is back", || client.set("a", "two").is_ok());
        assert_eq!(next_set(&mut monitor)[2], "two");
    });
}

#[test]
fn mo_02_what_is_not_read_is_dropped_and_dropping_it_ends_it() {
    on_each(|case| {
        let client = client(&case);
        let mut monitor = client.monitor().queue(10, 1 << 20).open().unwrap();
        for n in 0..100 {
            client.set("n", n).unwrap();
        }
        // The last ones have come when what was sent behind them has.
        let mut other = client.monitor().open().unwrap();
        client.set("n", "last").unwrap();
        assert_eq!(next_set(&mut other)[2], "last");
        let dropped = first_gap(&mut monitor);
        assert_eq!(dropped.kind(), ErrorKind::Overflow);
        assert!(dropped.gap().unwrap().dropped().unwrap() >= 90 - 10);
        drop((monitor, other));
        eventually("nobody monitors", || {
            !case.server.cli(["CLIENT", "LIST"]).contains(" flags=O ")
        });
    });
}

#[test]
fn a_monitor_and_a_pipeline_are_no_more_for_asynchronous_code_than_a_command() {
    on_one(|_, client| {
        let mut monitor = client.monitor().open().unwrap();
        let watch = client.watch("a").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let mut kept = client.pipeline();
        runtime.unwrap().block_on(async {
            assert!(error(monitor.next().unwrap()).is_misuse());
            let item = monitor.timeout_iter(SOON).next();
            assert!(error(item.unwrap()).is_misuse());
            assert!(error(client.monitor().open()).is_misuse());
            assert!(error(kept.incr("n").execute::<()>()).is_misuse());
            assert!(error(client.watch("a")).is_misuse());
            assert!(error(watch.get::<Option<i64>>("a")).is_misuse());
            assert!(error(client.transaction("a", |_| Ok(()))).is_misuse());
            drop((monitor, watch, client.pipeline()));
        });
        assert_eq!(kept.execute::<(i64,)>().unwrap(), (1,));
    });
}
