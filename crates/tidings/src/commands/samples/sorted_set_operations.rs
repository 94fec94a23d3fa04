//! Calls of the methods of this group.

use crate::options::{ZunionOptions, ZunionstoreOptions};

super::samples! {
    zunion<Vec<String>, _>(["a", "b"]) => "ZUNION 2 a b";
    zunion_withscores<Vec<String>, _>(["a", "b"]) => "ZUNION 2 a b WITHSCORES";
    zunion_with<Vec<String>, _>(["a", "b"], ZunionOptions::new().withscores().min().weights([1.0, 0.5]))
        => "ZUNION 2 a b WEIGHTS 1 0.5 AGGREGATE MIN WITHSCORES";
    zunionstore("a", ["b", "c"]) => "ZUNIONSTORE a 2 b c";
    zunionstore_with("a", ["b", "c"], ZunionstoreOptions::new().max().weights([1, 2]))
        => "ZUNIONSTORE a 2 b c WEIGHTS 1 2 AGGREGATE MAX";
    zinter<Vec<String>, _>(["a", "b"]) => "ZINTER 2 a b";
    zinter_withscores<Vec<String>, _>(["a", "b"]) => "ZINTER 2 a b WITHSCORES";
    zinter_with<Vec<String>, _>(["a", "b"], ZunionOptions::new().min().max()) => "ZINTER 2 a b AGGREGATE MAX";
    zinterstore("a", ["b", "c"]) => "ZINTERSTORE a 2 b c";
    zinterstore_with("a", ["b", "c"], ZunionstoreOptions::new().sum().weights([1, 2]))
        => "ZINTERSTORE a 2 b c WEIGHTS 1 2 AGGREGATE SUM";
    zintercard(["a", "b"]) => "ZINTERCARD 2 a b";
    zintercard_limit(["a", "b"], 3) => "ZINTERCARD 2 a b LIMIT 3";
    zdiff<Vec<String>, _>(["a", "b"]) => "ZDIFF 2 a b";
    zdiff_withscores<Vec<String>, _>(["a", "b"]) => "ZDIFF 2 a b WITHSCORES";
    zdiffstore("a", ["b", "c"]) => "ZDIFFSTORE a 2 b c";
}
