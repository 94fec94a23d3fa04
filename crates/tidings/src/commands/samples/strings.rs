//! Calls of the methods of this group.

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
}
