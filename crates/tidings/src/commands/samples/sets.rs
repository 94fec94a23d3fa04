//! Calls of the methods of this group.

use crate::options::SscanOptions;

super::samples! {
    sadd("a", ["x", "y"]) => "SADD a x y";
    srem("a", "x") => "SREM a x";
    smembers<Vec<String>>("a") => "SMEMBERS a";
    scard("a") => "SCARD a";
    sismember("a", "x") => "SISMEMBER a x";
    smismember("a", ["x", "y"]) => "SMISMEMBER a x y";
    smove("a", "b", "x") => "SMOVE a b x";
    spop<String>("a") => "SPOP a";
    spop_count<Vec<String>>("a", 2) => "SPOP a 2";
    srandmember<String>("a") => "SRANDMEMBER a";
    srandmember_count<Vec<String>>("a", -2) => "SRANDMEMBER a -2";
    sinter<Vec<String>, _>(["a", "b"]) => "SINTER a b";
    sinterstore("a", ["b", "c"]) => "SINTERSTORE a b c";
    sintercard(["a", "b"]) => "SINTERCARD 2 a b";
    sintercard_limit(["a", "b"], 3) => "SINTERCARD 2 a b LIMIT 3";
    sunion<Vec<String>, _>(["a", "b"]) => "SUNION a b";
    sunionstore("a", ["b", "c"]) => "SUNIONSTORE a b c";
    sdiff<Vec<String>, _>(["a", "b"]) => "SDIFF a b";
    sdiffstore("a", ["b", "c"]) => "SDIFFSTORE a b c";
    sscan<Vec<String>>("a", 0) => "SSCAN a 0";
    sscan_with<Vec<String>>("a", 7, SscanOptions::new().count(9).pattern("x*")) => "SSCAN a 7 MATCH x* COUNT 9";
}
