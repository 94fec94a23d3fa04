//! Calls of the methods of this group.

use std::time::Duration;

use crate::options::{
    PendingRange, StreamTrim, XaddOptions, XautoclaimOptions, XclaimOptions, XgroupCreateOptions,
    XgroupSetidOptions, XreadOptions, XreadgroupOptions, XsetidOptions,
};

const TIME: Duration = Duration::from_millis(50);

super::samples! {
    xadd("s", "*", [("f", "v"), ("g", "w")]) => "XADD s * f v g w";
    xadd_with("s", "1-1", [("f", 1)], XaddOptions::new().trim(StreamTrim::minid("1-0").limit(5)).nomkstream())
        => "XADD s NOMKSTREAM MINID ~ 1-0 LIMIT 5 1-1 f 1";
    xdel("s", ["1-1", "1-2"]) => "XDEL s 1-1 1-2";
    xlen("s") => "XLEN s";
    xtrim("s", StreamTrim::maxlen(10)) => "XTRIM s MAXLEN 10";
    xtrim("s", StreamTrim::maxlen(10).approximate()) => "XTRIM s MAXLEN ~ 10";
    xrange<Vec<String>>("s", "-", "+") => "XRANGE s - +";
    xrange_count<Vec<String>>("s", "-", "+", 2) => "XRANGE s - + COUNT 2";
    xrevrange<Vec<String>>("s", "+", "-") => "XREVRANGE s + -";
    xrevrange_count<Vec<String>>("s", "+", "-", 2) => "XREVRANGE s + - COUNT 2";
    xread<Vec<String>, _>([("s", "1-1"), ("t", "$")]) => "XREAD STREAMS s t 1-1 $";
    xread_with<Vec<String>, _>([("s", "$")], XreadOptions::new().block(TIME).count(3))
        => "XREAD COUNT 3 BLOCK 50 STREAMS s $";
    xreadgroup<Vec<String>, _>("g", "c", [("s", ">"), ("t", "0")]) => "XREADGROUP GROUP g c STREAMS s t > 0";
    xreadgroup_with<Vec<String>, _>(
        "g",
        "c",
        [("s", ">")],
        XreadgroupOptions::new().noack().block(Duration::ZERO).count(3),
    ) => "XREADGROUP GROUP g c COUNT 3 BLOCK 0 NOACK STREAMS s >";
    xack("s", "g", ["1-1", "1-2"]) => "XACK s g 1-1 1-2";
    xpending<Vec<String>>("s", "g") => "XPENDING s g";
    xpending_range<Vec<String>>("s", "g", "-", "+", 10) => "XPENDING s g - + 10";
    xpending_range_with<Vec<String>>("s", "g", PendingRange::new("-", "+", 10).consumer("c").idle(TIME))
        => "XPENDING s g IDLE 50 - + 10 c";
    xclaim<Vec<String>, _>("s", "g", "c", TIME, "1-1") => "XCLAIM s g c 50 1-1";
    xclaim_with<Vec<String>, _>(
        "s",
        "g",
        "c",
        TIME,
        ["1-1", "1-2"],
        XclaimOptions::new().idle(TIME).time(7).retrycount(2).force().justid().lastid("1-9"),
    ) => "XCLAIM s g c 50 1-1 1-2 TIME 7 RETRYCOUNT 2 FORCE JUSTID LASTID 1-9";
    xclaim_with<Vec<String>, _>("s", "g", "c", TIME, "1-1", XclaimOptions::new().idle(TIME))
        => "XCLAIM s g c 50 1-1 IDLE 50";
    xautoclaim<Vec<String>>("s", "g", "c", TIME, "0-0") => "XAUTOCLAIM s g c 50 0-0";
    xautoclaim_with<Vec<String>>("s", "g", "c", TIME, "0-0", XautoclaimOptions::new().justid().count(3))
        => "XAUTOCLAIM s g c 50 0-0 COUNT 3 JUSTID";
    xgroup_create("s", "g", "$") => "XGROUP CREATE s g $";
    xgroup_create_with("s", "g", "$", XgroupCreateOptions::new().entriesread(4).mkstream())
        => "XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 4";
    xgroup_createconsumer("s", "g", "c") => "XGROUP CREATECONSUMER s g c";
    xgroup_delconsumer("s", "g", "c") => "XGROUP DELCONSUMER s g c";
    xgroup_destroy("s", "g") => "XGROUP DESTROY s g";
    xgroup_setid("s", "g", "$") => "XGROUP SETID s g $";
    xgroup_setid_with("s", "g", "$", XgroupSetidOptions::new().entriesread(4))
        => "XGROUP SETID s g $ ENTRIESREAD 4";
    xinfo_consumers<Vec<String>>("s", "g") => "XINFO CONSUMERS s g";
    xinfo_groups<Vec<String>>("s") => "XINFO GROUPS s";
    xinfo_stream<Vec<String>>("s") => "XINFO STREAM s";
    xinfo_stream_full<Vec<String>>("s", 5) => "XINFO STREAM s FULL COUNT 5";
    xsetid("s", "1-9") => "XSETID s 1-9";
    xsetid_with("s", "1-9", XsetidOptions::new().maxdeletedid("1-2").entriesadded(9))
        => "XSETID s 1-9 ENTRIESADDED 9 MAXDELETEDID 1-2";
}
