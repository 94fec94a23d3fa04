use std::thread;
use std::time::{Duration, Instant};

/// How long anything in this crate is waited for before it says what did not happen. Generous,
/// because a loaded machine is no reason to fail; nothing is ever slept through.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How often a condition is looked at that nothing announces.
pub(crate) const STEP: Duration = Duration::from_millis(1);

/// Waits until `condition` holds, looking every millisecond, for at most ten seconds.
///
/// For what nothing announces, such as a figure in a server's `INFO`.
///
/// ```
/// use std::time::Instant;
/// let start = Instant::now();
/// tidings_testkit::eventually("a millisecond goes by", || start.elapsed().as_millis() >= 1);
/// ```
///
/// # Panics
///
/// If it does not come to hold; the text says `what`.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < DEADLINE,
            "waited {DEADLINE:?} in vain until {what}"
        );
        thread::sleep(STEP);
    }
}

/// How long many servers may take to agree: an election takes twice the node timeout and more.
pub(crate) const AGREEMENT: Duration = Duration::from_secs(60);

/// How often they are asked. Each question is one to every server.
const AGREEMENT_STEP: Duration = Duration::from_millis(5);

/// Asks until the answer is not an error, for as long as an agreement may take; then the last
/// error says what was missing.
pub(crate) fn agreed<T>(mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let start = Instant::now();
    loop {
        match ask() {
            Err(missing) if start.elapsed() > AGREEMENT => {
                return Err(format!("waited {AGREEMENT:?} in vain: {missing}"));
            }
            Err(_) => thread::sleep(AGREEMENT_STEP),
            answer => return answer,
        }
    }
}
