//! Calls of the methods of this group.

super::samples! {
    sadd("a", ["x", "y"]) => "SADD a x y";
    srem("a", "x") => "SREM a x";
    smembers<Vec<String>>("a") => "SMEMBERS a";
}
