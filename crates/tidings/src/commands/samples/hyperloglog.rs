//! Calls of the methods of this group.

super::samples! {
    pfadd("a", ["x", "y"]) => "PFADD a x y";
    pfcount(["a", "b"]) => "PFCOUNT a b";
    pfmerge("a", ["b", "c"]) => "PFMERGE a b c";
}
