use tidings_testkit::Server;

use crate::program::Program;

struct Jobs(Server);

impl Jobs {
    fn worker(&self) -> Program {
        let worker = Program::start("job_signals", &[&self.0.url()]);
        assert_eq!(worker.line(), "working");
        worker
    }

    /// Runs the program for one thing; what it says.
    fn ask(&self, words: [&str; 2]) -> String {
        let program = Program::start("job_signals", &[&self.0.url(), words[0], words[1]]);
        let (said, status) = program.end();
        assert!(status.success(), "{said:?}");
        said.join("\n")
    }
}

#[test]
fn a_job_is_done_as_soon_as_it_is_signalled() {
    let jobs = Jobs(Server::start());
    // One that waits from before is found without any signal.
    assert_eq!(jobs.ask(["add", "old"]), "jobs: 1, workers told: 0");
    let worker = jobs.worker();
    assert_eq!(worker.line(), "done: old");
    for job in ["one", "two"] {
        assert_eq!(jobs.ask(["add", job]), "jobs: 1, workers told: 1");
        assert_eq!(worker.line(), format!("done: {job}"));
    }
    worker.interrupt(&["stopped"]);
}

#[test]
fn a_worker_that_was_paused_does_the_rest_when_it_goes_on() {
    let jobs = Jobs(Server::start());
    let worker = jobs.worker();
    assert_eq!(jobs.ask(["tell", "pause"]), "workers told: 1");
    assert_eq!(worker.line(), "paused");
    assert_eq!(jobs.ask(["add", "one"]), "jobs: 1, workers told: 1");
    assert_eq!(jobs.ask(["add", "two"]), "jobs: 2, workers told: 1");
    assert_eq!(jobs.ask(["tell", "resume"]), "workers told: 1");
    assert_eq!(worker.line(), "working again");
    assert_eq!(worker.line(), "done: one");
    assert_eq!(worker.line(), "done: two");
}

#[test]
fn neither_a_failing_handler_nor_a_lost_signal_keeps_jobs_waiting() {
    let jobs = Jobs(Server::start());
    let worker = jobs.worker();
    jobs.ask(["tell", "dance"]);
    let said = worker.line();
    assert!(
        said.contains("jobs:control failed") && said.contains("dance"),
        "{said}"
    );

    // A job whose signal was lost with the connection.
    jobs.0.admin(["RPUSH", "jobs", "one"]);
    jobs.0.admin(["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(
        worker.line(),
        "signals may be missing: the connection was lost"
    );
    assert_eq!(worker.line(), "done: one");
}
