//! Calls of the methods of this group.

use crate::options::{GetexOptions, HexpireOptions, HscanOptions, HsetexOptions};

super::samples! {
    hset("a", [("f", 1), ("g", 2)]) => "HSET a f 1 g 2";
    hsetnx("a", "f", 1) => "HSETNX a f 1";
    hmset("a", [("f", 1), ("g", 2)]) => "HMSET a f 1 g 2";
    hget<String>("a", "f") => "HGET a f";
    hmget<Vec<String>, _>("a", ["f", "g"]) => "HMGET a f g";
    hgetall<Vec<String>>("a") => "HGETALL a";
    hdel("a", ["f", "g"]) => "HDEL a f g";
    hexists("a", "f") => "HEXISTS a f";
    hlen("a") => "HLEN a";
    hstrlen("a", "f") => "HSTRLEN a f";
    hkeys<Vec<String>>("a") => "HKEYS a";
    hvals<Vec<String>>("a") => "HVALS a";
    hincrby("a", "f", 2) => "HINCRBY a f 2";
    hincrbyfloat("a", "f", 0.5) => "HINCRBYFLOAT a f 0.5";
    hrandfield<String>("a") => "HRANDFIELD a";
    hrandfield_count<Vec<String>>("a", -3) => "HRANDFIELD a -3";
    hrandfield_withvalues<Vec<String>>("a", 3) => "HRANDFIELD a 3 WITHVALUES";
    hscan<Vec<String>>("a", 0) => "HSCAN a 0";
    hscan_with<Vec<String>>("a", "7", HscanOptions::new().novalues().count(9).pattern("f*"))
        => "HSCAN a 7 MATCH f* COUNT 9 NOVALUES";
    hexpire("a", 10, ["f", "g"]) => "HEXPIRE a 10 FIELDS 2 f g";
    hexpire_with("a", 10, "f", HexpireOptions::new().nx()) => "HEXPIRE a 10 NX FIELDS 1 f";
    hpexpire("a", 10, ["f", "g"]) => "HPEXPIRE a 10 FIELDS 2 f g";
    hpexpire_with("a", 10, "f", HexpireOptions::new().xx()) => "HPEXPIRE a 10 XX FIELDS 1 f";
    hexpireat("a", 10, ["f", "g"]) => "HEXPIREAT a 10 FIELDS 2 f g";
    hexpireat_with("a", 10, "f", HexpireOptions::new().gt()) => "HEXPIREAT a 10 GT FIELDS 1 f";
    hpexpireat("a", 10, ["f", "g"]) => "HPEXPIREAT a 10 FIELDS 2 f g";
    hpexpireat_with("a", 10, "f", HexpireOptions::new().lt()) => "HPEXPIREAT a 10 LT FIELDS 1 f";
    httl("a", ["f", "g"]) => "HTTL a FIELDS 2 f g";
    hpttl("a", "f") => "HPTTL a FIELDS 1 f";
    hexpiretime("a", "f") => "HEXPIRETIME a FIELDS 1 f";
    hpexpiretime("a", "f") => "HPEXPIRETIME a FIELDS 1 f";
    hpersist("a", "f") => "HPERSIST a FIELDS 1 f";
    hgetdel<Vec<String>, _>("a", ["f", "g"]) => "HGETDEL a FIELDS 2 f g";
    hgetex<Vec<String>, _>("a", ["f", "g"], GetexOptions::new()) => "HGETEX a FIELDS 2 f g";
    hgetex<Vec<String>, _>("a", "f", GetexOptions::new().ex(10)) => "HGETEX a EX 10 FIELDS 1 f";
    hgetex<Vec<String>, _>("a", "f", GetexOptions::new().px(10)) => "HGETEX a PX 10 FIELDS 1 f";
    hgetex<Vec<String>, _>("a", "f", GetexOptions::new().exat(10)) => "HGETEX a EXAT 10 FIELDS 1 f";
    hgetex<Vec<String>, _>("a", "f", GetexOptions::new().pxat(10)) => "HGETEX a PXAT 10 FIELDS 1 f";
    hgetex<Vec<String>, _>("a", "f", GetexOptions::new().persist()) => "HGETEX a PERSIST FIELDS 1 f";
    hsetex("a", [("f", 1), ("g", 2)], HsetexOptions::new()) => "HSETEX a FIELDS 2 f 1 g 2";
    hsetex("a", [("f", 1)], HsetexOptions::new().ex(10).fnx().xx()) => "HSETEX a XX FNX EX 10 FIELDS 1 f 1";
    hsetex("a", [("f", 1)], HsetexOptions::new().px(10).fxx()) => "HSETEX a FXX PX 10 FIELDS 1 f 1";
    hsetex("a", [("f", 1)], HsetexOptions::new().exat(10).nx()) => "HSETEX a NX EXAT 10 FIELDS 1 f 1";
    hsetex("a", [("f", 1)], HsetexOptions::new().pxat(10)) => "HSETEX a PXAT 10 FIELDS 1 f 1";
    hsetex("a", [("f", 1)], HsetexOptions::new().keepttl()) => "HSETEX a KEEPTTL FIELDS 1 f 1";
}
