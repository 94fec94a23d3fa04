//! Calls of the methods of this group.

use crate::options::{BitcountOptions, BitfieldOperations, BitfieldReads, BitposOptions};

super::samples! {
    setbit("a", 7, true) => "SETBIT a 7 1";
    getbit("a", 7) => "GETBIT a 7";
    bitcount("a") => "BITCOUNT a";
    bitcount_with("a", BitcountOptions::new().bits(0, -1)) => "BITCOUNT a 0 -1 BIT";
    bitpos("a", false) => "BITPOS a 0";
    bitpos_with("a", true, BitposOptions::new().bytes(1, 2)) => "BITPOS a 1 1 2";
    bitop_and("a", ["b", "c"]) => "BITOP AND a b c";
    bitop_or("a", ["b", "c"]) => "BITOP OR a b c";
    bitop_xor("a", ["b", "c"]) => "BITOP XOR a b c";
    bitop_not("a", "b") => "BITOP NOT a b";
    bitfield(
        "a", BitfieldOperations::new().overflow_sat().incrby("u8", 0, 2).get("i5", "#1")
    ) => "BITFIELD a OVERFLOW SAT INCRBY u8 0 2 GET i5 #1";
    bitfield_ro("a", BitfieldReads::new().get("u8", 0).get("u8", 8)) => "BITFIELD_RO a GET u8 0 GET u8 8";
}
