//! Calls of the methods of this group.

use std::time::Duration;

use crate::options::{MinMax, ZaddOptions, ZscanOptions};

const TIMEOUT: Duration = Duration::from_millis(1500);

super::samples! {
    zadd("a", [(1.5, "x"), (2.0, "y")]) => "ZADD a 1.5 x 2 y";
    zadd_with("a", [(1, "x")], ZaddOptions::new().ch().lt().xx()) => "ZADD a XX LT CH 1 x";
    zadd_with("a", [(1, "x")], ZaddOptions::new().xx().nx()) => "ZADD a NX 1 x";
    zadd_incr("a", 1.5, "x", ZaddOptions::new().gt()) => "ZADD a GT INCR 1.5 x";
    zincrby("a", -1.5, "x") => "ZINCRBY a -1.5 x";
    zrem("a", ["x", "y"]) => "ZREM a x y";
    zcard("a") => "ZCARD a";
    zscore("a", "x") => "ZSCORE a x";
    zmscore("a", ["x", "y"]) => "ZMSCORE a x y";
    zrank("a", "x") => "ZRANK a x";
    zrank_withscore("a", "x") => "ZRANK a x WITHSCORE";
    zrevrank("a", "x") => "ZREVRANK a x";
    zrevrank_withscore("a", "x") => "ZREVRANK a x WITHSCORE";
    zrandmember<String>("a") => "ZRANDMEMBER a";
    zrandmember_count<Vec<String>>("a", -2) => "ZRANDMEMBER a -2";
    zrandmember_withscores<Vec<String>>("a", 2) => "ZRANDMEMBER a 2 WITHSCORES";
    zscan<Vec<String>>("a", 0) => "ZSCAN a 0";
    zscan_with<Vec<String>>("a", 7, ZscanOptions::new().noscores().count(9).pattern("x*"))
        => "ZSCAN a 7 MATCH x* COUNT 9 NOSCORES";
    zpopmin<Vec<String>>("a") => "ZPOPMIN a";
    zpopmin_count<Vec<String>>("a", 2) => "ZPOPMIN a 2";
    zpopmax<Vec<String>>("a") => "ZPOPMAX a";
    zpopmax_count<Vec<String>>("a", 2) => "ZPOPMAX a 2";
    zmpop<Vec<String>, _>(["a", "b"], MinMax::Min) => "ZMPOP 2 a b MIN";
    zmpop_count<Vec<String>, _>("a", MinMax::Max, 2) => "ZMPOP 1 a MAX COUNT 2";
    bzpopmin<Vec<String>, _>(["a", "b"], TIMEOUT) => "BZPOPMIN a b 1.5";
    bzpopmax<Vec<String>, _>("a", Duration::ZERO) => "BZPOPMAX a 0";
    bzmpop<Vec<String>, _>(["a", "b"], MinMax::Min, TIMEOUT) => "BZMPOP 1.5 2 a b MIN";
    bzmpop_count<Vec<String>, _>("a", MinMax::Max, 2, TIMEOUT) => "BZMPOP 1.5 1 a MAX COUNT 2";
}
