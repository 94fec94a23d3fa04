//! Calls of the methods of this group.

use std::time::Duration;

use crate::options::{LposOptions, Place, Side};

const TIMEOUT: Duration = Duration::from_millis(1500);

super::samples! {
    lpush("a", ["x", "y"]) => "LPUSH a x y";
    rpush("a", ["x", "y"]) => "RPUSH a x y";
    lpushx("a", "x") => "LPUSHX a x";
    rpushx("a", ["x", "y"]) => "RPUSHX a x y";
    lpop<String>("a") => "LPOP a";
    lpop_count<Vec<String>>("a", 2) => "LPOP a 2";
    rpop<String>("a") => "RPOP a";
    rpop_count<Vec<String>>("a", 2) => "RPOP a 2";
    lmpop<Vec<String>, _>(["a", "b"], Side::Left) => "LMPOP 2 a b LEFT";
    lmpop_count<Vec<String>, _>("a", Side::Right, 3) => "LMPOP 1 a RIGHT COUNT 3";
    lmove<String>("a", "b", Side::Left, Side::Right) => "LMOVE a b LEFT RIGHT";
    rpoplpush<String>("a", "b") => "RPOPLPUSH a b";
    llen("a") => "LLEN a";
    lrange<Vec<String>>("a", 0, -1) => "LRANGE a 0 -1";
    lindex<String>("a", -1) => "LINDEX a -1";
    lpos("a", "x") => "LPOS a x";
    lpos_with("a", "x", LposOptions::new().maxlen(100).rank(-1)) => "LPOS a x RANK -1 MAXLEN 100";
    lpos_count("a", "x", 0, LposOptions::new().rank(2)) => "LPOS a x COUNT 0 RANK 2";
    linsert("a", Place::Before, "x", "w") => "LINSERT a BEFORE x w";
    linsert("a", Place::After, "x", "y") => "LINSERT a AFTER x y";
    lset("a", 0, "x") => "LSET a 0 x";
    lrem("a", -2, "x") => "LREM a -2 x";
    ltrim("a", 0, 9) => "LTRIM a 0 9";
    blpop<Vec<String>, _>(["a", "b"], TIMEOUT) => "BLPOP a b 1.5";
    brpop<Vec<String>, _>("a", Duration::ZERO) => "BRPOP a 0";
    blmpop<Vec<String>, _>(["a", "b"], Side::Left, TIMEOUT) => "BLMPOP 1.5 2 a b LEFT";
    blmpop_count<Vec<String>, _>("a", Side::Right, 3, TIMEOUT) => "BLMPOP 1.5 1 a RIGHT COUNT 3";
    blmove<String>("a", "b", Side::Right, Side::Left, TIMEOUT) => "BLMOVE a b RIGHT LEFT 1.5";
    brpoplpush<String>("a", "b", TIMEOUT) => "BRPOPLPUSH a b 1.5";
}
