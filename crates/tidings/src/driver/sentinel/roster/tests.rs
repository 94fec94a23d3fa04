//! Sentinels that agree, that know too little, that come and go.

use super::*;

fn at(port: u16) -> Address {
    Address::tcp("10.0.0.1", port)
}

/// The sentinels 1, 2 and 3 are named; servers are at 7000 and above.
struct Case {
    roster: Roster,
    view: View,
    now: Instant,
}

impl Case {
    fn new() -> Self {
        Self {
            roster: Roster::new(&[1, 2, 3].map(at)),
            view: View::default(),
            now: Instant::now(),
        }
    }

    fn report(&mut self, from: u16, primary: u16, epoch: u64) {
        let report = Report {
            primary: Some(at(primary)),
            epoch,
            ..Report::default()
        };
        self.roster.report(&at(from), report, self.now);
    }

    fn fail(&mut self, sentinel: u16) {
        let error = Error::connection("connection refused");
        self.roster.failed(&at(sentinel), error, self.now);
    }

    fn switch(&mut self, from: u16, to: u16) {
        self.roster.switched(&at(from), at(to), self.now);
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// The port of the primary.
    fn primary(&mut self) -> Option<u16> {
        self.wait(Duration::from_millis(1));
        self.view = self.roster.view(&self.view, self.now);
        match &self.view.primary {
            Some(Address::Tcp { port, .. }) => Some(*port),
            _ => None,
        }
    }

    /// The ports of the sentinels that came and went.
    fn update(&mut self) -> (Vec<u16>, Vec<u16>) {
        let ports = |list: Vec<Address>| {
            let port = |address| match address {
                Address::Tcp { port, .. } => port,
                Address::Unix(_) => 0,
            };
            list.into_iter().map(port).collect()
        };
        let (new, gone) = self.roster.update();
        (ports(new), ports(gone))
    }

    /// A sentinel with this id tells of others by port and id.
    fn introduce(&mut self, from: u16, id: &str, others: &[(u16, &str)]) {
        let peer = |(port, id): &(u16, &str)| Peer {
            address: at(*port),
            id: Some((*id).to_owned()),
        };
        let report = Report {
            primary: Some(at(7000)),
            id: Some(id.to_owned()),
            others: others.iter().map(peer).collect(),
            ..Report::default()
        };
        self.roster.report(&at(from), report, self.now);
    }
}

#[test]
fn the_first_answer_counts_and_all_have_answered_or_failed_at_the_end() {
    let mut case = Case::new();
    assert_eq!(case.primary(), None);
    case.fail(1);
    assert_eq!(case.primary(), None);
    case.report(2, 7000, 0);
    assert_eq!(case.primary(), Some(7000));
    assert!(!case.view.is_complete);
    case.report(3, 7000, 0);
    case.primary();
    assert!(case.view.is_complete);
}

#[test]
fn the_first_word_of_a_switch_counts_whatever_others_still_say() {
    let mut case = Case::new();
    for sentinel in [1, 2, 3] {
        case.report(sentinel, 7000, 4);
    }
    case.primary();
    case.switch(2, 7001);
    assert_eq!(case.primary(), Some(7001));
    // Those that have not heard of it yet.
    case.report(1, 7000, 4);
    case.report(3, 7000, 4);
    assert_eq!(case.primary(), Some(7001));
    case.report(2, 7001, 5);
    assert_eq!(case.primary(), Some(7001));
    case.switch(1, 7001);
    case.switch(3, 7001);
    assert_eq!(case.primary(), Some(7001));
}

#[test]
fn the_highest_epoch_counts_in_whatever_order_it_is_told() {
    for order in [[1, 2, 3], [3, 2, 1], [2, 1, 3]] {
        let mut case = Case::new();
        for sentinel in order {
            // The third was cut off from the others before the last failover.
            match sentinel {
                3 => case.report(3, 7000, 4),
                other => case.report(other, 7001, 5),
            }
            case.primary();
        }
        assert_eq!(case.primary(), Some(7001), "{order:?}");
    }
}

#[test]
fn a_late_word_of_an_older_switch_is_no_news() {
    let mut case = Case::new();
    // The leader of the last failover but one, which publishes it last.
    case.report(1, 7001, 5);
    for sentinel in [2, 3] {
        case.report(sentinel, 7002, 6);
    }
    assert_eq!(case.primary(), Some(7002));
    case.switch(1, 7001);
    assert_eq!(case.primary(), Some(7002));
}

#[test]
fn without_epochs_the_last_that_changes_its_word_counts() {
    let mut case = Case::new();
    for sentinel in [1, 2, 3] {
        case.report(sentinel, 7000, 0);
    }
    case.primary();
    case.report(3, 7001, 0);
    assert_eq!(case.primary(), Some(7001));
    case.report(1, 7000, 0);
    assert_eq!(case.primary(), Some(7001));
    case.report(1, 7001, 0);
    case.report(2, 7001, 0);
    assert_eq!(case.primary(), Some(7001));
    case.report(2, 7000, 0);
    assert_eq!(case.primary(), Some(7000));
}

#[test]
fn two_names_of_one_server_are_not_changed_between() {
    let mut case = Case::new();
    case.report(2, 7000, 3);
    assert_eq!(case.primary(), Some(7000));
    case.report(1, 7100, 3);
    case.report(3, 7100, 3);
    assert_eq!(case.primary(), Some(7000));
}

#[test]
fn who_knew_of_a_switch_and_died_is_believed_until_the_others_have_heard_of_it() {
    let mut case = Case::new();
    for sentinel in [1, 2, 3] {
        case.report(sentinel, 7000, 4);
    }
    case.switch(1, 7001);
    case.report(1, 7001, 5);
    assert_eq!(case.primary(), Some(7001));
    case.fail(1);
    assert_eq!(case.primary(), Some(7001));
    case.wait(REMEMBERED / 2);
    case.report(2, 7000, 4);
    // That it fails again does not make it younger.
    case.fail(1);
    assert_eq!(case.primary(), Some(7001));
    case.wait(REMEMBERED / 2);
    assert_eq!(case.primary(), Some(7000));
}

#[test]
fn what_was_known_last_stays_when_nobody_is_left_to_say() {
    let mut case = Case::new();
    case.report(1, 7000, 4);
    case.primary();
    for sentinel in [1, 2, 3] {
        case.fail(sentinel);
    }
    case.wait(2 * REMEMBERED);
    assert_eq!(case.primary(), Some(7000));
    // Nor is a name forgotten that is taken out of the sentinels' configuration.
    case.roster.report(&at(1), Report::default(), case.now);
    assert_eq!(case.primary(), Some(7000));
}

#[test]
fn a_name_that_is_given_to_another_primary_is_followed_although_numbers_begin_anew() {
    let mut case = Case::new();
    for sentinel in [1, 2, 3] {
        case.report(sentinel, 7000, 4);
    }
    case.primary();
    // SENTINEL REMOVE and SENTINEL MONITOR, on all of them.
    for sentinel in [1, 2, 3] {
        case.report(sentinel, 7005, 0);
        case.primary();
    }
    assert_eq!(case.primary(), Some(7005));
}

#[test]
fn sentinels_that_others_tell_of_are_taken_in_once_and_let_go_when_they_are_gone_for_all() {
    let mut case = Case::new();
    case.introduce(1, "a", &[(2, "b"), (4, "d")]);
    assert_eq!(case.update(), (vec![4], vec![]));
    case.introduce(2, "b", &[(1, "a"), (4, "d"), (5, "e")]);
    assert_eq!(case.update(), (vec![5], vec![]));
    case.introduce(4, "d", &[]);
    case.introduce(5, "e", &[]);
    assert_eq!(case.update(), (vec![], vec![]));
    // It has ended, and the others still tell of it.
    case.fail(5);
    assert_eq!(case.update(), (vec![], vec![]));
    case.introduce(2, "b", &[(1, "a"), (4, "d")]);
    assert_eq!(case.update(), (vec![], vec![5]));
    // Nobody tells of it, and it is there: SENTINEL RESET makes them forget each other for a while.
    case.introduce(1, "a", &[(2, "b")]);
    case.introduce(2, "b", &[(1, "a")]);
    assert_eq!(case.update(), (vec![], vec![]));
    case.fail(4);
    assert_eq!(case.update(), (vec![], vec![4]));
    // Those that the configuration names stay.
    for sentinel in [1, 2, 3] {
        case.fail(sentinel);
    }
    assert_eq!(case.update(), (vec![], vec![]));
    assert_eq!(case.roster.addresses().count(), 3);
}

#[test]
fn one_that_the_configuration_calls_otherwise_is_the_same() {
    let mut case = Case::new();
    case.introduce(1, "a", &[]);
    // It is known by its name before anybody tells of its address.
    case.introduce(2, "b", &[(11, "a")]);
    assert_eq!(case.update(), (vec![], vec![]));
    // Here it turns out afterwards.
    case.introduce(1, "a", &[(13, "c")]);
    assert_eq!(case.update(), (vec![13], vec![]));
    case.introduce(13, "c", &[]);
    case.introduce(3, "c", &[(11, "a")]);
    assert_eq!(case.update(), (vec![], vec![13]));
    assert_eq!(case.update(), (vec![], vec![]));
}

#[test]
fn no_list_is_so_long_that_a_task_is_made_for_each() {
    let mut case = Case::new();
    let ids: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let others: Vec<(u16, &str)> = (1000..).zip(ids.iter().map(String::as_str)).collect();
    case.introduce(1, "a", &others);
    assert_eq!(case.update().0.len(), MOST - 3);
}

#[test]
fn why_nobody_knows_is_what_can_be_helped() {
    let problem = |case: &Case| case.roster.problem("mymaster");
    let mut case = Case::new();
    assert_eq!(problem(&case).kind(), ErrorKind::Connection);
    for sentinel in [1, 2, 3] {
        case.fail(sentinel);
    }
    let error = problem(&case);
    assert_eq!(error.kind(), ErrorKind::Connection);
    let text = format!("{error:#}");
    assert!(
        text.contains("10.0.0.1:1, 10.0.0.1:2, 10.0.0.1:3: connection refused"),
        "{text}"
    );
    let refused = Error::new(ErrorKind::Authentication, "NOAUTH");
    case.roster.failed(&at(2), refused, case.now);
    let error = problem(&case);
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("sentinel_password"), "{error}");
    case.roster.report(&at(3), Report::default(), case.now);
    let error = problem(&case);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`mymaster`"), "{error}");
}

#[test]
fn news_are_servers_that_were_not_there_before() {
    let view = |primary: u16, replicas: &[u16]| View {
        primary: Some(at(primary)),
        replicas: replicas
            .iter()
            .map(|port| Replica {
                address: at(*port),
                is_fit: true,
            })
            .collect(),
        is_complete: true,
    };
    let before = view(7000, &[7001, 7002]);
    assert!(!view(7000, &[7002]).is_news_after(&before));
    assert!(view(7000, &[7003]).is_news_after(&before));
    assert!(view(7001, &[7002]).is_news_after(&before));
}
