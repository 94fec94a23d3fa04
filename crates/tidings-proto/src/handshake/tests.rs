//! The handshake against what servers answer, and against what they should not.

use super::*;
use crate::limits::Limits;
use crate::resp::Decoder;
use crate::testing::commands;

const UNKNOWN: &str =
    "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `u`, `secret`, \r\n";
const SETINFO: &str = "-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n";
const HELLO: &str =
    "%4\r\n+server\r\n+valkey\r\n+proto\r\n:3\r\n+version\r\n+9.1.2\r\n+id\r\n:7\r\n";
const HELLO_2: &str = "*4\r\n+server\r\n+redis\r\n+proto\r\n:2\r\n";

fn all() -> HandshakeOptions {
    HandshakeOptions {
        protocol: None,
        username: Some("u".to_owned()),
        password: Some("secret".to_owned()),
        client_name: Some("me".to_owned()),
        database: 3,
        library: Some(("tidings", "1")),
        read_only: false,
    }
}

/// Begins, hears the replies, and gives the outcome and the commands of each round.
fn shake(
    options: HandshakeOptions,
    replies: &str,
) -> (Result<Option<ServerInfo>, HandshakeError>, Vec<Vec<String>>) {
    let mut handshake = Handshake::new(options);
    let mut out = Vec::new();
    handshake.begin(&mut out);
    let mut rounds = vec![commands(&std::mem::take(&mut out))];
    let (mut decoder, mut rest) = (Decoder::new(Limits::default()), replies.as_bytes());
    let mut info = Ok(None);
    while let Some(len) = decoder.poll_frame(rest).unwrap() {
        info = handshake.handle_reply(Reply::parse(&rest[..len]).unwrap(), &mut out);
        rest = &rest[len..];
        if !out.is_empty() {
            rounds.push(commands(&std::mem::take(&mut out)));
        }
        if !matches!(info, Ok(None)) {
            break;
        }
    }
    (info, rounds)
}

fn refusal(options: HandshakeOptions, replies: &str) -> HandshakeError {
    let error = shake(options, replies).0.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
    error
}

#[test]
fn one_write_and_its_replies_are_all_there_is_to_it() {
    let replies = format!("{HELLO}+OK\r\n+OK\r\n+OK\r\n");
    let (info, rounds) = shake(all(), &replies);
    assert_eq!(
        rounds,
        [[
            "HELLO 3 AUTH u secret SETNAME me",
            "CLIENT SETINFO LIB-NAME tidings",
            "CLIENT SETINFO LIB-VER 1",
            "SELECT 3"
        ]]
    );
    let info = info.unwrap().unwrap();
    assert_eq!(info.protocol, Protocol::Resp3);
    assert_eq!(
        (info.server.as_deref(), info.version.as_deref()),
        (Some("valkey"), Some("9.1.2"))
    );
}

#[test]
fn who_reads_from_replicas_says_so_last_and_a_server_that_has_none_is_taken_all_the_same() {
    let options = HandshakeOptions {
        read_only: true,
        ..all()
    };
    for answer in ["+OK", "-ERR This instance has cluster support disabled"] {
        let replies = format!("{HELLO}+OK\r\n+OK\r\n+OK\r\n{answer}\r\n");
        let (info, rounds) = shake(options.clone(), &replies);
        assert!(info.unwrap().is_some());
        assert_eq!(rounds[0].last().map(String::as_str), Some("READONLY"));
    }
}

#[test]
fn a_server_that_does_not_know_setinfo_is_taken_all_the_same() {
    let replies = format!("{HELLO}{SETINFO}{SETINFO}+OK\r\n");
    assert!(shake(all(), &replies).0.unwrap().is_some());
}

#[test]
fn a_server_without_hello_is_asked_in_the_words_of_resp2() {
    for refused in [
        UNKNOWN,
        "-NOPROTO unsupported protocol version\r\n",
        "-NOPERM no hello\r\n",
    ] {
        let noauth = "-NOAUTH Authentication required.\r\n";
        let replies = format!("{refused}{noauth}{noauth}{noauth}+OK\r\n+OK\r\n+OK\r\n");
        let (info, rounds) = shake(all(), &replies);
        assert_eq!(
            rounds[1..],
            [["AUTH u secret", "CLIENT SETNAME me", "SELECT 3"]]
        );
        assert_eq!(info.unwrap().unwrap().protocol, Protocol::Resp2);
    }
    let (info, rounds) = shake(HandshakeOptions::default(), UNKNOWN);
    assert_eq!(rounds, [["HELLO 3"]], "there is nothing more to ask for");
    assert_eq!(info.unwrap().unwrap().protocol, Protocol::Resp2);
}

#[test]
fn a_server_that_answers_in_resp2_is_spoken_to_in_resp2() {
    let info = shake(HandshakeOptions::default(), HELLO_2)
        .0
        .unwrap()
        .unwrap();
    assert_eq!(info.protocol, Protocol::Resp2);
    let insisting = HandshakeOptions {
        protocol: Some(Protocol::Resp3),
        ..Default::default()
    };
    for reply in [
        HELLO_2,
        UNKNOWN,
        "-NOPROTO unsupported protocol version\r\n",
    ] {
        let error = refusal(insisting.clone(), reply);
        assert!(matches!(error, HandshakeError::NoResp3), "{error:?}");
    }
}

#[test]
fn se_01_a_user_without_a_password_is_that_user_and_not_the_default_one() {
    let user = HandshakeOptions {
        username: Some("u".to_owned()),
        ..Default::default()
    };
    let (_, rounds) = shake(user, UNKNOWN);
    assert_eq!(rounds, [["HELLO 3 AUTH u "], ["AUTH u "]]);
    let password = HandshakeOptions {
        password: Some("p".to_owned()),
        ..Default::default()
    };
    let (_, rounds) = shake(password, UNKNOWN);
    assert_eq!(rounds, [["HELLO 3 AUTH default p"], ["AUTH p"]]);
}

#[test]
fn se_01_each_refusal_says_what_is_wrong_and_never_the_password() {
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    for reply in [
        wrong.to_owned(),
        "-NOAUTH HELLO must be called with the client already authenticated\r\n".to_owned(),
        "-ERR Client sent AUTH, but no password is set\r\n".to_owned(),
        format!("{UNKNOWN}{SETINFO}{SETINFO}-NOAUTH no\r\n{wrong}"),
    ] {
        let error = refusal(all(), &reply);
        assert!(
            matches!(error, HandshakeError::Authentication(_)),
            "{error:?}"
        );
    }
    let name = "-ERR Client names cannot contain spaces, newlines or special characters.\r\n";
    for reply in [
        name.to_owned(),
        format!("{UNKNOWN}{SETINFO}{SETINFO}+OK\r\n+OK\r\n{name}"),
    ] {
        let error = refusal(all(), &reply);
        assert!(matches!(error, HandshakeError::ClientName(_)), "{error:?}");
    }
    let database = "-ERR DB index is out of range\r\n";
    for reply in [
        format!("{HELLO}+OK\r\n+OK\r\n{database}"),
        format!("{UNKNOWN}{SETINFO}{SETINFO}{database}+OK\r\n+OK\r\n{database}"),
    ] {
        let error = refusal(all(), &reply);
        assert!(matches!(error, HandshakeError::Database(_)), "{error:?}");
    }
    for reply in [
        "-ERR max number of clients reached\r\n",
        "-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n",
    ] {
        let error = refusal(all(), reply);
        assert!(matches!(error, HandshakeError::Refused(_)), "{error:?}");
    }
}

#[test]
fn se_02_what_is_no_answer_to_hello_is_an_error() {
    for reply in [
        "+OK\r\n",
        ":1\r\n",
        "$5\r\nhello\r\n",
        "_\r\n",
        ">1\r\n+x\r\n",
    ] {
        let error = refusal(all(), reply);
        assert!(matches!(error, HandshakeError::Protocol(_)), "{error:?}");
    }
    let mut handshake = Handshake::new(all());
    assert!(
        handshake
            .handle_reply(Reply::Null, &mut Vec::new())
            .is_err(),
        "nothing was asked"
    );
}

#[test]
fn se_02_a_description_in_any_shape_is_taken() {
    for reply in [
        "%0\r\n",
        "*1\r\n+server\r\n",
        "%1\r\n:1\r\n*0\r\n",
        "%1\r\n+server\r\n_\r\n",
    ] {
        let info = shake(HandshakeOptions::default(), reply)
            .0
            .unwrap()
            .unwrap();
        assert_eq!(info.server, None);
    }
}
