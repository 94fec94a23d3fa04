//! Calls of the methods of this group.

use crate::options::CommandLog;

super::samples! {
    slowlog_get<()>() => "SLOWLOG GET";
    slowlog_get_count<()>(-1) => "SLOWLOG GET -1";
    slowlog_len() => "SLOWLOG LEN";
    slowlog_reset() => "SLOWLOG RESET";
    commandlog_get<()>(3, CommandLog::Slow) => "COMMANDLOG GET 3 slow";
    commandlog_len(CommandLog::LargeRequest) => "COMMANDLOG LEN large-request";
    commandlog_reset(CommandLog::LargeReply) => "COMMANDLOG RESET large-reply";
    latency_latest<()>() => "LATENCY LATEST";
    latency_history("command") => "LATENCY HISTORY command";
    latency_histogram<(), _>(["get", "set"]) => "LATENCY HISTOGRAM get set";
    latency_graph("command") => "LATENCY GRAPH command";
    latency_doctor() => "LATENCY DOCTOR";
    latency_reset(None::<&str>) => "LATENCY RESET";
    memory_usage("a") => "MEMORY USAGE a";
    memory_usage_samples("a", 0) => "MEMORY USAGE a SAMPLES 0";
    memory_stats<()>() => "MEMORY STATS";
    memory_doctor() => "MEMORY DOCTOR";
    memory_malloc_stats() => "MEMORY MALLOC-STATS";
    memory_purge() => "MEMORY PURGE";
}
