//! Calls of the methods of this group.

use crate::options::{GetexOptions, LcsOptions, MsetexOptions, SetOptions};

super::samples! {
    get<String>("a") => "GET a";
    set("a", 1) => "SET a 1";
    set_ex("a", 1, 10) => "SET a 1 EX 10";
    set_nx("a", 1) => "SET a 1 NX";
    getdel<String>("a") => "GETDEL a";
    mget<Vec<String>, _>(["a", "b"]) => "MGET a b";
    mset([("a", 1), ("b", 2)]) => "MSET a 1 b 2";
    append("a", "x") => "APPEND a x";
    strlen("a") => "STRLEN a";
    incr("a") => "INCR a";
    incrby("a", 2) => "INCRBY a 2";
    incrbyfloat("a", 0.5) => "INCRBYFLOAT a 0.5";
    decr("a") => "DECR a";
    decrby("a", 2) => "DECRBY a 2";

    set_with<bool>("a", 1, SetOptions::new().px(10).get().nx()) => "SET a 1 NX GET PX 10";
    setex("a", 10, 1) => "SETEX a 10 1";
    psetex("a", 10, 1) => "PSETEX a 10 1";
    setnx("a", 1) => "SETNX a 1";
    getset<String>("a", 1) => "GETSET a 1";
    getex<String>("a", GetexOptions::new().persist()) => "GETEX a PERSIST";
    msetnx([("a", 1), ("b", 2)]) => "MSETNX a 1 b 2";
    msetex([("a", 1), ("b", 2)], MsetexOptions::new().nx().ex(10)) => "MSETEX 2 a 1 b 2 NX EX 10";
    getrange<String>("a", 0, -1) => "GETRANGE a 0 -1";
    substr<String>("a", 0, -1) => "SUBSTR a 0 -1";
    setrange("a", 2, "x") => "SETRANGE a 2 x";
    lcs<String>("a", "b") => "LCS a b";
    lcs_len("a", "b") => "LCS a b LEN";
    lcs_idx<()>("a", "b", LcsOptions::new().minmatchlen(2).withmatchlen()) => "LCS a b IDX MINMATCHLEN 2 WITHMATCHLEN";
    delifeq("a", 1) => "DELIFEQ a 1";
}
