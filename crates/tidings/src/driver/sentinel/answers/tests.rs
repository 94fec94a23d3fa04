//! What real sentinels answered: Redis 7.0.15 and 8.0.6 and Valkey 9.1.2 say the same in the same words.

use super::*;
use crate::error::ErrorKind;

/// `ip` and `port` are where it was; it is the leader of a failover that has promoted another.
const LEADER: [&str; 2] = [
    "*40 $4 name $8 mymaster $2 ip $9 127.0.0.1 $4 port $5 19800 $5 runid $40 \
     8f664a8ec561ef5820eda9dd7c68da1c864d5ab9 $5 flags $42 master,failover_in_progress,force_failover $21 \
     link-pending-commands $1 0 $13 link-refcount $1 1 $14 last-ping-sent $1 0 $18 last-ok-ping-reply $3 286 $15 \
     last-ping-reply $3 286 $23 down-after-milliseconds $4 2000 $12 info-refresh $4 5449 $13 role-reported $6 master $18 \
     role-reported-time $4 5452 $12 config-epoch $1 1 $10 num-slaves $1 0 $19 num-other-sentinels $1 1 $6 quorum $1 2 $16 \
     failover-timeout $6 180000 $14 parallel-syncs $1 1",
    "%3 $4 name $8 mymaster $12 config-epoch $1 1 $14 parallel-syncs $1 1",
];

const OTHER: [&str; 2] = [
    "*1 *28 $4 name $40 23a1388058450032a7a4b12de24db617db40f44e $2 ip $9 127.0.0.1 $4 port $5 19803 $5 runid $40 \
     23a1388058450032a7a4b12de24db617db40f44e $5 flags $8 sentinel $21 link-pending-commands $1 0 $13 link-refcount $1 1 \
     $14 last-ping-sent $1 0 $18 last-ok-ping-reply $3 587 $15 last-ping-reply $3 587 $23 down-after-milliseconds $4 2000 \
     $18 last-hello-message $4 1681 $12 voted-leader $1 ? $18 voted-leader-epoch $1 0",
    "*1 %4 $4 name $40 23a1388058450032a7a4b12de24db617db40f44e $2 ip $9 127.0.0.1 $4 port $5 19803 $5 runid $40 \
     23a1388058450032a7a4b12de24db617db40f44e",
];

/// A blank stands for each end of a line.
fn wire(text: &str) -> String {
    format!("{text} ").replace(' ', "\r\n")
}

fn taken(question: Question, answer: &str) -> Result<Report> {
    let mut report = Report::default();
    report.take(question, Reply::parse(answer.as_bytes()).unwrap())?;
    Ok(report)
}

fn told(question: Question, text: &str) -> Report {
    taken(question, &wire(text)).unwrap()
}

#[test]
fn the_primary_has_an_address_or_is_unknown() {
    let primary = told(Question::Primary, "*2 $9 127.0.0.1 $5 19800").primary;
    assert_eq!(primary, Some(Address::tcp("127.0.0.1", 19800)));
    let primary = told(Question::Primary, "*2 $3 ::1 $5 19800").primary;
    assert_eq!(primary, Some(Address::tcp("::1", 19800)));
    for unknown in ["*-1", "_"] {
        assert_eq!(told(Question::Primary, unknown).primary, None);
    }
}

#[test]
fn who_cannot_say_where_the_primary_is_has_said_nothing() {
    let refusal = "-NOPERM User default has no permissions to run the 'sentinel|get-master-addr-by-name' command\r\n";
    let error = taken(Question::Primary, refusal).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Server, Some("NOPERM"))
    );
    for odd in ["*2 $0  $5 19800", "*2 $1 a $1 0"] {
        let error = taken(Question::Primary, &wire(odd)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
    for odd in [
        "*2 $1 a $5 99999",
        "*2 $1 a $1 x",
        "*1 $1 a",
        ":1",
        "$1 a",
        "*0",
    ] {
        let error = taken(Question::Primary, &wire(odd)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{odd}");
    }
}

#[test]
fn the_number_of_the_last_failover_is_read_and_done_without() {
    for text in LEADER {
        assert_eq!(told(Question::Epoch, text).epoch, 1);
    }
    for none in [
        "*2 $12 config-epoch $1 x",
        "*0",
        "_",
        ":1",
        "*1 $12 config-epoch",
    ] {
        assert_eq!(told(Question::Epoch, none).epoch, 0);
    }
    let refusal = "-ERR No such master with that name\r\n";
    assert_eq!(taken(Question::Epoch, refusal).unwrap().epoch, 0);
}

#[test]
fn a_sentinel_has_a_name_since_redis_6_2() {
    let id = told(Question::Id, "$40 b2e5db55a1c373f4f351dcb6c4401d939c4a77b8").id;
    assert_eq!(
        id.as_deref(),
        Some("b2e5db55a1c373f4f351dcb6c4401d939c4a77b8")
    );
    let refusal = "-ERR Unknown sentinel subcommand 'MYID'\r\n";
    assert_eq!(taken(Question::Id, refusal).unwrap().id, None);
}

#[test]
fn other_sentinels_are_told_of_with_their_names() {
    let expected = Peer {
        address: Address::tcp("127.0.0.1", 19803),
        id: Some("23a1388058450032a7a4b12de24db617db40f44e".to_owned()),
    };
    for text in OTHER {
        assert_eq!(
            told(Question::Sentinels, text).others,
            std::slice::from_ref(&expected)
        );
    }
    // One that is not whole is passed over.
    let text = "*3 *4 $2 ip $0  $4 port $1 1 *2 $2 ip $1 a *6 $2 ip $1 b $4 port $1 2 $5 runid $0 ";
    let others = told(Question::Sentinels, text).others;
    assert_eq!(
        others,
        [Peer {
            address: Address::tcp("b", 2),
            id: None
        }]
    );
    for none in ["*0", "_", "*1 :1", "$1 a"] {
        assert!(told(Question::Sentinels, none).others.is_empty());
    }
}

/// The fields of a replica that matter, with what else stands between.
fn replica_with(flags: &str, role: &str, link: &str) -> String {
    let fields = [
        ("name", "127.0.0.1:19802"),
        ("ip", "127.0.0.1"),
        ("port", "19802"),
        ("flags", flags),
        ("role-reported", role),
        ("master-link-status", link),
        ("slave-priority", "100"),
    ];
    let words = fields.iter().flat_map(|(name, value)| [name, value]);
    let words: Vec<String> = words
        .map(|word| format!("${} {word}", word.len()))
        .collect();
    format!("*1 *{} {}", words.len(), words.join(" "))
}

#[test]
fn a_replica_that_is_up_is_fit_if_it_is_known_to_hear_its_primary() {
    let replicas =
        |flags, role, link| told(Question::Replicas, &replica_with(flags, role, link)).replicas;
    let at = |is_fit| {
        [Replica {
            address: Address::tcp("127.0.0.1", 19802),
            is_fit,
        }]
    };
    assert_eq!(replicas("slave", "slave", "ok"), at(true));
    assert_eq!(replicas("slave,reconf_done", "slave", "ok"), at(true));
    for (flags, link) in [
        ("slave,disconnected", "ok"),
        ("slave", "err"),
        // After a switch, until the sentinel has asked again.
        ("slave,disconnected", "err"),
    ] {
        assert_eq!(replicas(flags, "slave", link), at(false), "{flags} {link}");
    }
    for (flags, role, link) in [
        ("slave", "master", "err"),
        ("slave,promoted", "master", "ok"),
        ("s_down,slave,disconnected", "slave", "ok"),
        ("o_down,slave", "slave", "ok"),
    ] {
        assert_eq!(replicas(flags, role, link), [], "{flags} {role} {link}");
    }
}

#[test]
fn a_switch_is_one_of_the_primary_of_that_name() {
    let payload = "mymaster 127.0.0.1 19500 127.0.0.1 19502";
    let to = Some(Address::tcp("127.0.0.1", 19502));
    assert_eq!(switched(payload, "mymaster"), to);
    assert_eq!(
        switched("m ::1 1 fe80::1%eth0 2", "m"),
        Some(Address::tcp("fe80::1%eth0", 2))
    );
    assert_eq!(switched(payload, "master"), None);
    for odd in [
        "",
        "mymaster",
        "mymaster a 1 b",
        "mymaster a 1 b 0",
        "mymaster a 1 b x",
        "mymaster a 1  2",
    ] {
        assert_eq!(switched(odd, "mymaster"), None, "{odd}");
    }
}

#[test]
fn what_is_published_is_told_from_what_is_answered() {
    let told = |text: &str| message(Reply::parse(wire(text).as_bytes()).unwrap());
    for (kind, count) in [('*', 3), ('>', 3)] {
        let frame = |what: &str, third: &str| {
            format!(
                "{kind}{count} ${} {what} $14 +switch-master {third}",
                what.len()
            )
        };
        assert_eq!(
            told(&frame("message", "$5 a_b_c")).as_deref(),
            Some("a_b_c")
        );
        assert_eq!(told(&frame("subscribe", ":1")), None);
        assert_eq!(told(&frame("unsubscribe", ":0")), None);
    }
    for answer in [
        LEADER[0],
        LEADER[1],
        OTHER[0],
        OTHER[1],
        "*2 $9 127.0.0.1 $5 19800",
        "_",
        "*0",
        "$3 abc",
    ] {
        assert_eq!(told(answer), None, "{answer}");
    }
    assert_eq!(told("*3 $7 message $5 other $1 a"), None);
}

#[test]
fn a_server_says_what_it_is() {
    let role = |text: &str| Kind::of_role(Reply::parse(wire(text).as_bytes()).unwrap());
    assert_eq!(role("*3 $6 master :1132 *0"), Kind::Primary);
    let slave = |state: &str| {
        let state = format!("${} {state}", state.len());
        role(&format!("*5 $5 slave $9 127.0.0.1 :19800 {state} :1400"))
    };
    assert_eq!(slave("connected"), Kind::Replica);
    for state in [
        "connect",
        "connecting",
        "sync",
        "handshake",
        "none",
        "unknown",
    ] {
        assert_eq!(slave(state), Kind::CutOff, "{state}");
    }
    for other in [
        "*2 $8 sentinel *1 $8 mymaster",
        "*0",
        "_",
        "$6 master",
        "-NOPERM_no",
    ] {
        assert_eq!(role(other), Kind::Unknown, "{other}");
    }
    assert_eq!(Kind::of_hello(Some("master")), Kind::Primary);
    assert_eq!(Kind::of_hello(Some("replica")), Kind::Replica);
    assert_eq!(Kind::of_hello(None), Kind::Unknown);
}
