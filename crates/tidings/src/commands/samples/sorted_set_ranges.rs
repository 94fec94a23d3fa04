//! Calls of the methods of this group.

use crate::options::{Zrange, ZrangebylexOptions, ZrangebyscoreOptions};

super::samples! {
    zrange<Vec<String>>("a", 0, -1) => "ZRANGE a 0 -1";
    zrange_withscores<Vec<String>>("a", 0, -1) => "ZRANGE a 0 -1 WITHSCORES";
    zrange_by<Vec<String>>("a", Zrange::by_rank(0, 9)) => "ZRANGE a 0 9";
    zrange_by<Vec<String>>("a", Zrange::by_score("(1", 5).limit(2, 3)) => "ZRANGE a (1 5 BYSCORE LIMIT 2 3";
    zrange_by<Vec<String>>("a", Zrange::by_score("(1", f64::INFINITY).limit(0, -1).rev())
        => "ZRANGE a inf (1 BYSCORE REV LIMIT 0 -1";
    zrange_by<Vec<String>>("a", Zrange::by_lex("[a", "(b").rev()) => "ZRANGE a (b [a BYLEX REV";
    zrange_by_withscores<Vec<String>>("a", Zrange::by_rank(0, 9).rev()) => "ZRANGE a 0 9 REV WITHSCORES";
    zrangestore("a", "b", Zrange::by_lex("-", "+")) => "ZRANGESTORE a b - + BYLEX";
    zrevrange<Vec<String>>("a", 0, 9) => "ZREVRANGE a 0 9";
    zrevrange_withscores<Vec<String>>("a", 0, 9) => "ZREVRANGE a 0 9 WITHSCORES";
    zrangebyscore<Vec<String>>("a", 1.5, "(5") => "ZRANGEBYSCORE a 1.5 (5";
    zrangebyscore_with<Vec<String>>("a", "-inf", 5, ZrangebyscoreOptions::new().limit(2, 3).withscores())
        => "ZRANGEBYSCORE a -inf 5 WITHSCORES LIMIT 2 3";
    zrevrangebyscore<Vec<String>>("a", "(5", 1.5) => "ZREVRANGEBYSCORE a (5 1.5";
    zrevrangebyscore_with<Vec<String>>("a", 5, "-inf", ZrangebyscoreOptions::new().limit(2, 3))
        => "ZREVRANGEBYSCORE a 5 -inf LIMIT 2 3";
    zrangebylex<Vec<String>>("a", "[x", "+") => "ZRANGEBYLEX a [x +";
    zrangebylex_with<Vec<String>>("a", "[x", "+", ZrangebylexOptions::new().limit(2, 3))
        => "ZRANGEBYLEX a [x + LIMIT 2 3";
    zrevrangebylex<Vec<String>>("a", "+", "[x") => "ZREVRANGEBYLEX a + [x";
    zrevrangebylex_with<Vec<String>>("a", "+", "[x", ZrangebylexOptions::new().limit(2, 3))
        => "ZREVRANGEBYLEX a + [x LIMIT 2 3";
    zcount("a", "(1", f64::INFINITY) => "ZCOUNT a (1 inf";
    zlexcount("a", "[x", "(y") => "ZLEXCOUNT a [x (y";
    zremrangebyrank("a", 0, -11) => "ZREMRANGEBYRANK a 0 -11";
    zremrangebyscore("a", "-inf", "(5") => "ZREMRANGEBYSCORE a -inf (5";
    zremrangebylex("a", "-", "[x") => "ZREMRANGEBYLEX a - [x";
}
