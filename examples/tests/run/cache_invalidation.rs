use tidings_testkit::Server;

use crate::program::Program;

fn start(server: &Server) -> Program {
    let program = Program::start("cache_invalidation", &[&server.url()]);
    assert_eq!(program.line(), "get KEY, or set KEY VALUE");
    program
}

fn ask(program: &mut Program, line: &str) -> String {
    program.type_line(line);
    program.line()
}

#[test]
fn a_value_is_read_once_and_again_after_somebody_has_changed_it() {
    let server = Server::start();
    let mut one = start(&server);
    let mut other = start(&server);
    for cache in [&mut one, &mut other] {
        assert_eq!(
            ask(cache, "get greeting"),
            "greeting = nothing (from the server)"
        );
        assert_eq!(
            ask(cache, "get greeting"),
            "greeting = nothing (from the cache)"
        );
    }

    assert_eq!(
        ask(&mut one, "set greeting good morning"),
        "forgot greeting"
    );
    assert_eq!(other.line(), "forgot greeting");
    for cache in [&mut one, &mut other] {
        assert_eq!(
            ask(cache, "get greeting"),
            "greeting = good morning (from the server)"
        );
        assert_eq!(
            ask(cache, "get greeting"),
            "greeting = good morning (from the cache)"
        );
    }

    other.end_input();
    let (said, status) = other.end();
    assert!(said.is_empty() && status.success(), "{said:?}, {status}");
}

#[test]
fn nothing_that_was_known_before_a_gap_is_used_after_it() {
    let server = Server::start();
    server.admin(["SET", "greeting", "old"]);
    let mut cache = start(&server);
    assert_eq!(
        ask(&mut cache, "get greeting"),
        "greeting = old (from the server)"
    );

    // Nobody tells of this change, as if its message had been published during the loss.
    server.admin(["SET", "greeting", "new"]);
    assert_eq!(
        ask(&mut cache, "get greeting"),
        "greeting = old (from the cache)"
    );
    server.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    let gap = cache.line();
    assert_eq!(
        gap,
        "forgot everything: changes may be missing (the connection was lost)"
    );
    assert_eq!(
        ask(&mut cache, "get greeting"),
        "greeting = new (from the server)"
    );
}
