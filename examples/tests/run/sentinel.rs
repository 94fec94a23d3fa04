use tidings_testkit::Sentinels;

use crate::program::Program;

#[test]
fn beats_go_on_when_another_server_becomes_the_primary() {
    let sentinels = Sentinels::builder().replicas(1).start_or_panic();
    let beats = Program::start("sentinel", &[&sentinels.url()]);
    assert_eq!(beats.line(), "listening");
    assert_eq!(beats.line(), "heard beat 1");

    sentinels.failover();
    // A beat whose answer was lost may be told of in between.
    let mut said = Vec::new();
    while !said.iter().any(|line: &String| line.starts_with("heard")) {
        said.push(beats.line());
    }
    let gap = "beats may be missing: a replica has taken over";
    assert!(said.iter().any(|line| line == gap), "{said:?}");
    beats.interrupt(&["stopped"]);
}
