//! Real Redis and Valkey servers for tests, a scripted peer and a fault proxy.
