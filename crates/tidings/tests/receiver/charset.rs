//! Names and text in a charset: SPEC item EN-02.

use tidings::{Config, ErrorKind};

use crate::faces::receiver::Receiver;
use crate::faces::{Case, plain};
use crate::support::error;
use crate::{message, on_both_faces};

on_both_faces! {
    [plain]
    en_02_a_receivers_names_and_text_are_in_its_charset,
}

async fn en_02_a_receivers_names_and_text_are_in_its_charset(case: Case) {
    let url = format!("{}&charset=latin1", case.url());
    let client = case.client_with(Config::from_url(&url).unwrap()).await;
    let builder = case.receiver_builder().charset("iso-8859-1");
    let mut receiver: Receiver<String> = builder.payload().build().unwrap();
    client.subscribe(receiver.channel("käse")).await.unwrap();
    assert_eq!(client.publish("käse", "grün").await.unwrap(), 1);
    let (sender, got) = message(&mut receiver).await;
    assert_eq!(sender.name(), b"k\xe4se");
    assert_eq!(
        (sender.name_str(), got.payload().as_str()),
        ("käse".into(), "grün")
    );
    // A character that it lacks.
    let refused = error(client.subscribe(receiver.channel("крот")).await);
    assert_eq!(refused.kind(), ErrorKind::Misuse);
    let unknown = error(case.receiver_builder().charset("klingon").build());
    assert_eq!(unknown.kind(), ErrorKind::Config);
}
