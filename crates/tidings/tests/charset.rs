//! Text in other charsets than UTF-8, on real servers: SPEC item EN-02.
#![cfg(feature = "charset")]

mod support;

use std::collections::HashMap;

use support::{Case, SOON, error, on_each, short};
use tidings::{
    Bytes, Charset, Client, Commands, Config, ErrorKind, FromPayload, Message, PayloadError,
    Script, Value, cmd, options::SetOptions,
};

/// `süß` in ISO-8859-1.
const SUESS: &[u8] = b"s\xfc\xdf";

async fn latin1(case: &Case) -> Client {
    let client = Client::connect(format!("{}&charset=iso-8859-1", case.url())).await;
    client.expect("the server takes connections")
}

#[test]
fn en_01_text_is_decoded_from_the_clients_charset() {
    on_each(async |case| {
        let utf_8 = case.client().await;
        let client = latin1(&case).await;
        let mut pubsub = client.pubsub().channels("a").payload::<String>();
        pubsub = pubsub.ignore_subscribe_messages(true);
        let mut pubsub = pubsub.await.unwrap();
        utf_8.publish("a", SUESS).await.unwrap();
        client.publish("a", "süß").await.unwrap();
        client.publish("a", "süß".as_bytes()).await.unwrap();
        let mut texts = Vec::new();
        for _ in 0..3 {
            let event = pubsub.next_message(SOON).await.unwrap().unwrap();
            texts.push(event.into_message().unwrap().into_payload());
        }
        // What is given as bytes is sent as it is.
        assert_eq!(texts, ["süß", "süß", "s\u{c3}\u{bc}\u{c3}\u{9f}"]);
    });
}

#[test]
fn en_02_names_and_payloads_given_as_text_are_sent_in_the_clients_charset() {
    on_each(async |case| {
        let client = latin1(&case).await;
        let mut pubsub = client
            .pubsub()
            .channels("süß")
            .patterns("ß*")
            .await
            .unwrap();
        pubsub.ssubscribe("ö").await.unwrap();
        pubsub.handle().subscribe(["ä"]).await.unwrap();
        assert_eq!(pubsub.channels(), [SUESS, b"\xe4"]);
        assert_eq!(pubsub.patterns(), [&b"\xdf*"[..]]);
        assert_eq!(pubsub.shard_channels(), [&b"\xf6"[..]]);
        let numsub = ["PUBSUB".as_bytes(), b"NUMSUB", SUESS];
        assert!(case.server.cli(numsub).ends_with("\n1"));

        assert_eq!(client.publish("süß", "grün").await.unwrap(), 1);
        assert_eq!(client.spublish("ö", "grün").await.unwrap(), 1);
        let mut pipeline = client.pipeline();
        pipeline
            .publish("ß!", "grün")
            .run(cmd("PUBLISH").arg("ä").arg("ü"));
        assert_eq!(pipeline.execute::<(i64, i64)>().await.unwrap(), (1, 1));
        assert_eq!(
            client
                .run::<i64>(cmd("PUBLISH").arg("ä").arg("ü"))
                .await
                .unwrap(),
            1
        );

        let mut events = Vec::new();
        for _ in 0..9 {
            events.push(pubsub.get_message(SOON).await.unwrap().unwrap());
        }
        let shown: Vec<String> = events.iter().map(short).collect();
        let expected = [
            "subscribe süß 1",
            "psubscribe ß* 2",
            "ssubscribe ö 1",
            "subscribe ä 3",
            "message süß grün",
            "smessage ö grün",
            "pmessage ß* ß! grün",
            "message ä ü",
            "message ä ü",
        ];
        assert_eq!(shown, expected);
        assert_eq!(events[4].message().unwrap().channel(), SUESS);
        assert_eq!(events[4].message().unwrap().payload(), &b"gr\xfcn"[..]);
        assert!(format!("{:?}", events[6]).contains("ß*"));

        let counts: Vec<(String, i64)> = client.pubsub_numsub(["süß", "x"]).await.unwrap();
        assert_eq!(counts, [("süß".to_owned(), 1), ("x".to_owned(), 0)]);
        let names: Vec<String> = client.pubsub_channels("s*").await.unwrap();
        assert_eq!(names, ["süß"]);
        let names: Vec<Bytes> = client.pubsub_channels("ä*").await.unwrap();
        assert_eq!(names, [&b"\xe4"[..]]);
        let shards: Vec<(String, i64)> = client.pubsub_shardnumsub("ö").await.unwrap();
        assert_eq!(shards, [("ö".to_owned(), 1)]);

        pubsub.unsubscribe(["süß", "ä"]).await.unwrap();
        pubsub.punsubscribe("ß*").await.unwrap();
        pubsub.handle().sunsubscribe("ö").await.unwrap();
        assert!(!pubsub.is_subscribed());
    });
}

#[test]
fn en_02_subscriptions_that_share_a_connection_have_the_clients_charset() {
    on_each(async |case| {
        let client = latin1(&case).await;
        let mut names = client
            .subscribe(["süß", "b"])
            .payload::<String>()
            .await
            .unwrap();
        let mut patterns = client.psubscribe("ß*").await.unwrap();
        assert_eq!(names.names().next(), Some(SUESS));
        client.publish("süß", "grün").await.unwrap();
        client.publish("ß!", "ä").await.unwrap();
        let message = names.get_message(SOON).await.unwrap().unwrap();
        let message = message.into_message().unwrap();
        assert_eq!(
            (message.channel_str().as_ref(), message.payload().as_str()),
            ("süß", "grün")
        );
        let event = patterns.get_message(SOON).await.unwrap().unwrap();
        assert_eq!(short(&event), "pmessage ß* ß! ä");
        let failed = error(client.subscribe("€").await);
        assert!(failed.is_misuse(), "{failed}");
        case.server
            .admin(["ACL", "SETUSER", "default", "resetchannels"]);
        let failed = error(client.subscribe("ö").await);
        assert!(failed.to_string().contains("refused ö"), "{failed}");
    });
}

#[cfg(feature = "blocking")]
#[test]
fn en_02_the_blocking_face_has_the_clients_charset() {
    fn receive(url: &str) -> tidings::Result<String> {
        let client = tidings::blocking::Client::connect(format!("{url}&charset=latin1"))?;
        let mut pubsub = client.pubsub().ignore_subscribe_messages(true).open()?;
        let (sent, heard) = std::sync::mpsc::channel();
        let handler = move |message: Message| sent.send(short(&tidings::Event::Message(message)));
        pubsub.psubscribe_with("ß*", handler)?;
        let thread = pubsub.run_in_thread()?;
        assert!(error(thread.subscribe_with("€", |_| ())).is_misuse());
        thread.subscribe_with("ü", |_| ())?;
        client.publish("ß!", "grün")?;
        assert!(error(client.publish("ß!", "€")).is_misuse());
        let received = heard.recv_timeout(SOON).unwrap();
        let pubsub = thread.stop()?;
        assert_eq!(pubsub.channels(), [&b"\xfc"[..]]);
        Ok(received)
    }
    on_each(async |case| {
        let url = case.url();
        let received = tokio::task::spawn_blocking(move || receive(&url)).await;
        assert_eq!(received.unwrap().unwrap(), "pmessage ß* ß! grün");
    });
}

#[test]
fn en_02_handlers_of_names_given_as_text_take_their_messages() {
    on_each(async |case| {
        let client = latin1(&case).await;
        let mut pubsub = client
            .pubsub()
            .ignore_subscribe_messages(true)
            .await
            .unwrap();
        let (sent, heard) = std::sync::mpsc::channel();
        let handler = move |message: Message| sent.send(message.text().into_owned());
        pubsub.subscribe_with("ü", handler).await.unwrap();
        client.publish("ü", "ä").await.unwrap();
        pubsub.ping().await.unwrap();
        let text = loop {
            assert!(pubsub.get_message(SOON).await.unwrap().is_none());
            if let Ok(text) = heard.try_recv() {
                break text;
            }
        };
        assert_eq!(text, "ä");
        pubsub.unsubscribe("ü").await.unwrap();
        assert!(pubsub.next().await.is_none());
    });
}

#[test]
fn en_02_all_commands_and_replies_have_the_clients_charset() {
    on_each(async |case| {
        let client = latin1(&case).await;
        client.set("schlüssel", "süß").await.unwrap();
        let utf_8 = case.client().await;
        let stored: Bytes = utf_8.get(b"schl\xfcssel").await.unwrap();
        assert_eq!(stored, SUESS);
        assert_eq!(client.get::<String>("schlüssel").await.unwrap(), "süß");
        assert_eq!(client.get::<Bytes>("schlüssel").await.unwrap(), SUESS);
        let value: Value = client.get("schlüssel").await.unwrap();
        assert_eq!(value.as_bytes(), Some(SUESS));

        client.hset("h", [("ä", "ö"), ("a", "o")]).await.unwrap();
        let map: HashMap<String, String> = client.hgetall("h").await.unwrap();
        assert_eq!((map["ä"].as_str(), map["a"].as_str()), ("ö", "o"));
        let options = SetOptions::new().get();
        let old: Option<String> = client.set_with("schlüssel", "groß", options).await.unwrap();
        assert_eq!(old.as_deref(), Some("süß"));
        let shared: i64 = client.sadd("ö", ["ü", "x"]).await.unwrap();
        assert_eq!(shared, 2);
        let many: Vec<String> = client.sinter(["ö", "ö"]).await.unwrap();
        assert!(many.contains(&"ü".to_owned()));
        assert_eq!(client.sintercard(["ö", "ö"]).await.unwrap(), 2);

        // A large reply, and one in a transaction.
        let long = "ü".repeat(100_000);
        client.set("lang", &long).await.unwrap();
        let (one, two): (String, String) = client
            .pipeline()
            .get("lang")
            .get("schlüssel")
            .execute()
            .await
            .unwrap();
        assert_eq!((one == long, two.as_str()), (true, "groß"));
        let mut batch = client.pipeline();
        batch
            .transaction(false)
            .get("schlüssel")
            .set("schlüssel", "ß");
        let (groß, ()): (String, ()) = batch.execute().await.unwrap();
        assert_eq!(groß, "groß");

        let seen: String = client
            .transaction("schlüssel", |watch| async move {
                let seen: String = watch.get("schlüssel").await?;
                let (): () = watch.multi().set("schlüssel", "ä").execute().await?;
                Ok(seen)
            })
            .await
            .unwrap();
        assert_eq!(seen, "ß");
        let watch = client.watch("schlüssel").await.unwrap();
        case.server.admin(["SET".as_bytes(), b"schl\xfcssel", b"1"]);
        let failed = error(watch.multi().get("x").execute::<()>().await);
        assert!(failed.is_watch(), "{failed}");

        // The text of a script is UTF-8, or its digest would not be that of its text.
        let script = Script::new("return {KEYS[1], ARGV[1], 'ü'}");
        for _ in 0..2 {
            let reply: Vec<Bytes> = script.run(&client, "ü", "ß").await.unwrap();
            assert_eq!(reply, [&b"\xfc"[..], b"\xdf", "ü".as_bytes()]);
        }
        let (reply,): (Vec<Bytes>,) = client
            .pipeline()
            .script(&script, "ü", "ß")
            .execute()
            .await
            .unwrap();
        assert_eq!(reply, [&b"\xfc"[..], b"\xdf", "ü".as_bytes()]);
        let popped: Option<(String, String)> = {
            client.rpush("liste", "ö").await.unwrap();
            client
                .blpop("liste", std::time::Duration::from_secs(5))
                .await
                .unwrap()
        };
        assert_eq!(popped.unwrap().1, "ö");
    });
}

#[test]
fn en_02_a_character_that_the_charset_lacks_is_a_misuse_before_anything_is_sent() {
    on_each(async |case| {
        let client = latin1(&case).await;
        let mut pubsub = client.pubsub().channels("a").await.unwrap();
        let handle = pubsub.handle();
        case.forget_commands();
        let mut pipeline = client.pipeline();
        pipeline.publish("a", "1").publish("a", "€");
        let watch = client.watch("a").await.unwrap();
        case.forget_commands();
        for failed in [
            error(client.publish("a", "5 €").await),
            error(client.publish("€", "5").await),
            error(client.run::<i64>(cmd("PUBLISH").arg("a").arg("€")).await),
            error(client.blpop::<Value, _>("€", SOON).await),
            error(pipeline.execute::<()>().await),
            error(client.watch("€").await),
            error(watch.get::<Value>("€").await),
            error(watch.watch("€").await),
            error(pubsub.subscribe(["b", "€"]).await),
            error(pubsub.psubscribe("€*").await),
            error(pubsub.unsubscribe("€").await),
            error(pubsub.subscribe_with("€", |_| {}).await),
            error(handle.ssubscribe("€").await),
            error(client.pubsub().patterns("€").await),
        ] {
            assert!(failed.is_misuse(), "{failed}");
            let text = failed.to_string();
            assert!(
                text.contains("ISO-8859-1") && text.contains("'€'"),
                "{text}"
            );
        }
        assert_eq!(pubsub.channels(), ["a"]);
        assert!(case.commands_run().is_empty(), "{:?}", case.commands_run());
        client.publish("a", "£").await.unwrap();
    });
}

#[test]
fn en_02_errors_of_subscribers_show_names_decoded() {
    on_each(async |case| {
        case.server
            .admin(["ACL", "SETUSER", "default", "resetchannels", "&a"]);
        let client = latin1(&case).await;
        let mut pubsub = client.pubsub().channels("a").payload::<u8>().await.unwrap();
        let failed = error(pubsub.subscribe("süß").await);
        assert!(failed.is_no_permission());
        assert!(failed.to_string().contains("süß"), "{failed}");
        case.server
            .admin(["ACL", "SETUSER", "default", "allchannels"]);
        pubsub.subscribe("süß").await.unwrap();
        client.publish("süß", "ä").await.unwrap();
        let failed = loop {
            match pubsub.next_message(SOON).await {
                Err(error) => break error,
                Ok(event) => assert!(event.is_some()),
            }
        };
        assert!(failed.to_string().contains("süß"), "{failed}");
        assert_eq!(failed.raw_message().unwrap().text(), "ä");
        case.server
            .admin(["ACL", "SETUSER", "default", "resetchannels", "&a"]);
        let failed = loop {
            match pubsub.next_message(SOON).await {
                Err(error) => break error,
                Ok(event) => assert!(event.is_some()),
            }
        };
        assert!(
            failed.to_string().contains("subscribe süß again"),
            "{failed}"
        );
    });
}

#[test]
fn en_03_bytes_that_are_no_text_in_the_charset_are_an_error_with_the_raw_message() {
    #[derive(Debug, PartialEq)]
    struct Shout(String);
    impl FromPayload for Shout {
        fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
            Self::from_payload_in(payload, Charset::UTF_8)
        }

        fn from_payload_in(payload: Bytes, charset: Charset) -> Result<Self, PayloadError> {
            let text = String::from_payload_in(payload, charset)?;
            Ok(Self(text.to_uppercase()))
        }
    }
    on_each(async |case| {
        let config = Config::from_url(&case.url()).unwrap().charset("shift_jis");
        let client = Client::connect(config).await.unwrap();
        let mut pubsub = client.pubsub().channels("日").payload::<Shout>();
        pubsub = pubsub.ignore_subscribe_messages(true);
        let mut pubsub = pubsub.await.unwrap();
        client.publish("日", b"a\x81").await.unwrap();
        client.publish("日", "a本").await.unwrap();
        let failed = error(pubsub.next_message(SOON).await);
        assert_eq!(failed.kind(), ErrorKind::Decode);
        assert_eq!(failed.raw_payload().unwrap(), &b"a\x81"[..]);
        let source = std::error::Error::source(&failed).unwrap().to_string();
        assert!(source.contains("Shift_JIS"), "{source}");
        let event = pubsub.next_message(SOON).await.unwrap().unwrap();
        assert_eq!(event.message().unwrap().payload(), &Shout("A本".into()));
        client.set("k", b"\x81").await.unwrap();
        let failed = error(client.get::<String>("k").await);
        assert!(failed.to_string().contains("charset"), "{failed}");
    });
}
