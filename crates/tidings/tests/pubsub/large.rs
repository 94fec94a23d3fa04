//! Large payloads: SPEC item PS-10.

use std::io::{Read, Write};
use std::net::TcpStream;

use tidings::{Bytes, Config};
use tidings_testkit::{Binary, Protocol, Server, ServerBuilder};

use crate::faces::{self, Case, Face};
use crate::on_both_faces;
use crate::support::{SOON, read};

on_both_faces! {
    [without_output_limit]
    ps_10_a_payload_of_64_mib_arrives_as_it_was_sent,
}

/// Publishes `block`, repeated, over a connection of its own, without having it all in memory.
fn publish_repeated(address: &str, channel: &str, block: &[u8], times: usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    let (name, size) = (channel.len(), block.len() * times);
    let header = format!("*3\r\n$7\r\nPUBLISH\r\n${name}\r\n{channel}\r\n${size}\r\n");
    stream.write_all(header.as_bytes()).unwrap();
    for _ in 0..times {
        stream.write_all(block).unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply, *b":1\r\n");
}

/// A server that gives its subscribers as much as there is.
fn without_output_limit(binary: &Binary) -> Server {
    unlimited(Server::builder().binary(binary))
}

fn unlimited(builder: ServerBuilder) -> Server {
    builder
        .config("client-output-buffer-limit", "pubsub 0 0 0")
        .start_or_panic()
}

async fn receive_large(case: &Case, times: usize) {
    // On a busy machine a server that copies so much answers nothing for seconds.
    let config = Config::from_url(&case.url()).unwrap();
    let client = case.client_with(config.ping_timeout(6 * SOON)).await;
    let mut pubsub = client
        .pubsub()
        .channels("large")
        .ignore_subscribe_messages(true)
        .await
        .unwrap();
    // No multiple of any buffer's size.
    let block: Bytes = (0..=250).cycle().take((1 << 20) - 1).collect();
    let (address, sent) = (case.server.address(), block.clone());
    let publisher = tokio::task::spawn_blocking(move || {
        publish_repeated(&address, "large", &sent, times);
    });
    let received = tokio::time::timeout(6 * SOON, pubsub.next()).await;
    let event = received.unwrap().unwrap().unwrap();
    assert_eq!(event.kind(), "message", "{event:?}, {:?}", pubsub.stats());
    let message = event.into_message().unwrap();
    publisher.await.unwrap();
    assert_eq!(message.payload().len(), block.len() * times);
    let mut chunks = message.payload().chunks(block.len());
    assert!(chunks.all(|chunk| chunk == block));
    drop(message);
    client.publish("large", "small").await.unwrap();
    assert_eq!(read(&mut pubsub, 1).await, ["message large small"]);
    assert_eq!(pubsub.stats().reconnects, 0);
}

async fn ps_10_a_payload_of_64_mib_arrives_as_it_was_sent(case: Case) {
    receive_large(&case, 64).await;
}

/// On one server, and one face after the other, for the memory's sake.
#[test]
fn ps_10_a_payload_of_512_mib_arrives_as_it_was_sent() {
    for face in Face::ALL {
        let server = unlimited(Server::builder());
        faces::run_one(face, server, Protocol::Resp3, async |case| {
            receive_large(&case, 512).await;
        });
    }
}
