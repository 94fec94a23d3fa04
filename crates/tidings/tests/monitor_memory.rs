//! The memory of this process and of the server under a monitor that is not read. Alone in its file, because it is that
//! of the whole process.
#![cfg(target_os = "linux")]

mod faults;
mod footprint;
mod raw;
mod support;

use faults::{quick, soon};
use footprint::{MIB, resident, resident_of};
use raw::Raw;
use tidings::{Client, ErrorKind};
use tidings_testkit::Server;

/// What the queue may hold.
const QUEUE: usize = 4 << 20;

/// What allocators, read buffers and threads may take beside it.
const SLACK: u64 = 16 * MIB;

/// What is written meanwhile.
const WRITTEN: usize = 200 << 20;

const VALUE: usize = 32 << 10;

#[test]
fn mo_02_memory_stays_flat_here_and_at_the_server_under_a_stopped_consumer() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = Server::start();
    runtime.block_on(async {
        let client = soon(Client::connect(quick(&server.url()))).await.unwrap();
        let mut monitor = soon(client.monitor().queue(usize::MAX, QUEUE))
            .await
            .unwrap();
        let mut raw = Raw::connect(server.socket_address());
        let value = "v".repeat(VALUE);
        let set = vec![b"SET".to_vec(), b"k".to_vec(), value.clone().into_bytes()];
        let commands = vec![set; 10];
        raw.run_all(&commands);
        let pid = server.pid().expect("it runs").to_string();
        let (here, there) = (resident(), resident_of(&pid));
        let (mut most_here, mut most_there) = (here, there);
        for _ in 0..WRITTEN / VALUE / commands.len() {
            raw.run_all(&commands);
            most_here = most_here.max(resident());
            most_there = most_there.max(resident_of(&pid));
        }
        let (here, there) = (most_here - here, most_there - there);
        println!("{} MiB here, {} MiB there", here / MIB, there / MIB);
        assert!(
            here <= QUEUE as u64 + SLACK && there <= SLACK,
            "{here} and {there}"
        );
        let mut shown = 0;
        let gap = loop {
            match soon(monitor.next()).await.expect("it goes on") {
                Ok(event) => {
                    assert!(event.command().len() == 3 || event.command()[0] == "PING");
                    shown += VALUE;
                }
                Err(error) => break error,
            }
        };
        assert_eq!(gap.kind(), ErrorKind::Overflow);
        assert!(shown <= QUEUE, "{shown}");
        assert!(
            gap.gap()
                .and_then(|gap| gap.dropped())
                .is_some_and(|lost| lost > 1_000)
        );
    });
}
