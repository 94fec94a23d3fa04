//! Bits and integers within string values, and HyperLogLogs.

use super::support::{error, on_each};
use tidings::Commands;
use tidings::options::{BitcountOptions, BitfieldOperations, BitfieldReads, BitposOptions};

#[test]
fn bits_are_set_counted_and_found() {
    on_each(async |case| {
        let client = case.client().await;
        assert!(!client.setbit("a", 7, true).await.unwrap());
        assert!(client.setbit("a", 7, true).await.unwrap());
        assert!(!client.setbit("a", 16, true).await.unwrap());
        assert!(client.getbit("a", 7).await.unwrap());
        assert!(!client.getbit("a", 8).await.unwrap());
        assert!(!client.getbit("a", 1 << 20).await.unwrap());
        assert_eq!(client.bitcount("a").await.unwrap(), 2);
        assert_eq!(client.bitcount("none").await.unwrap(), 0);
        let count = async |options| client.bitcount_with("a", options).await.unwrap();
        assert_eq!(count(BitcountOptions::new().bytes(1, -1)).await, 1);
        assert_eq!(count(BitcountOptions::new().bits(8, 15)).await, 0);

        assert_eq!(client.bitpos("a", true).await.unwrap(), 7);
        assert_eq!(client.bitpos("a", false).await.unwrap(), 0);
        assert_eq!(client.bitpos("none", true).await.unwrap(), -1);
        let find = async |options| client.bitpos_with("a", true, options).await.unwrap();
        assert_eq!(find(BitposOptions::new().start(1)).await, 16);
        assert_eq!(find(BitposOptions::new().bytes(1, 1)).await, -1);
        assert_eq!(find(BitposOptions::new().bits(8, -1)).await, 16);
    });
}

#[test]
fn bits_of_values_are_combined() {
    on_each(async |case| {
        let client = case.client().await;
        client.set("a", b"\x0f\xff").await.unwrap();
        client.set("b", b"\x3c").await.unwrap();
        let get = async || client.get::<Vec<u8>>("c").await.unwrap();
        assert_eq!(client.bitop_and("c", ["a", "b"]).await.unwrap(), 2);
        assert_eq!(get().await, b"\x0c\x00");
        assert_eq!(client.bitop_or("c", ["a", "b"]).await.unwrap(), 2);
        assert_eq!(get().await, b"\x3f\xff");
        assert_eq!(client.bitop_xor("c", ["a", "b"]).await.unwrap(), 2);
        assert_eq!(get().await, b"\x33\xff");
        assert_eq!(client.bitop_not("c", "b").await.unwrap(), 1);
        assert_eq!(get().await, b"\xc3");
        assert_eq!(client.bitop_not("c", "none").await.unwrap(), 0);
    });
}

#[test]
fn integers_of_any_width_are_read_and_written() {
    on_each(async |case| {
        let client = case.client().await;
        let operations = BitfieldOperations::new()
            .set("u8", 0, 200)
            .get("u8", 0)
            .incrby("u8", 0, 100)
            .overflow_sat()
            .incrby("u8", 0, 300)
            .overflow_fail()
            .incrby("u8", 0, 1)
            .overflow_wrap()
            .incrby("u8", 0, 1)
            .set("i5", "#2", -3);
        let numbers = client.bitfield("a", operations).await.unwrap();
        let expected = [
            Some(0),
            Some(200),
            Some(44),
            Some(255),
            None,
            Some(0),
            Some(0),
        ];
        assert_eq!(numbers, expected);
        let reads = BitfieldReads::new()
            .get("u8", 0)
            .get("i5", "#2")
            .get("u4", 10);
        assert_eq!(client.bitfield_ro("a", reads).await.unwrap(), [0, -3, 14]);
        let wrong = BitfieldOperations::new().get("u65", 0);
        assert!(error(client.bitfield("a", wrong).await).code() == Some("ERR"));
    });
}

#[test]
fn hyperloglogs_estimate_how_many_elements_differ() {
    on_each(async |case| {
        let client = case.client().await;
        assert!(client.pfadd("a", ["x", "y", "z"]).await.unwrap());
        assert!(!client.pfadd("a", "x").await.unwrap());
        assert!(client.pfadd("b", None::<&str>).await.unwrap());
        assert!(client.pfadd("b", ["z", "new"]).await.unwrap());
        assert_eq!(client.pfcount("a").await.unwrap(), 3);
        assert_eq!(client.pfcount(["a", "b", "none"]).await.unwrap(), 4);
        client.pfmerge("c", ["a", "b"]).await.unwrap();
        assert_eq!(client.pfcount("c").await.unwrap(), 4);
    });
}
