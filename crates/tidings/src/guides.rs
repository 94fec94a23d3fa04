//! For those who know another client: what is done there, and how it reads here. All examples are run on real servers.

#[doc = include_str!("../docs/from-redis-py.md")]
pub mod from_redis_py {}

#[doc = include_str!("../docs/from-aredis.md")]
pub mod from_aredis {}

#[doc = include_str!("../docs/from-coredis.md")]
pub mod from_coredis {}

#[doc = include_str!("../docs/from-aioredis.md")]
pub mod from_aioredis {}
