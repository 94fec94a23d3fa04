//! What one frame costs to find and to read, and one command to write.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tidings_proto::{CommandWriter, Decoder, FromReply, Limits, Reply, Value, cmd};

/// Frames behind each other in one buffer, as after one read of a pipeline's replies.
const FRAMES_PER_READ: usize = 1000;

const ARRAY_ELEMENTS: usize = 1000;

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let array = |element: &str| format!("*{ARRAY_ELEMENTS}\r\n{}", element.repeat(ARRAY_ELEMENTS));
    vec![
        ("+OK", b"+OK\r\n".to_vec()),
        (":1", b":1\r\n".to_vec()),
        ("$5 hello", b"$5\r\nhello\r\n".to_vec()),
        (
            "$4096",
            format!("$4096\r\n{}\r\n", "x".repeat(4096)).into_bytes(),
        ),
        ("+PONG", b"+PONG\r\n".to_vec()),
        ("error", b"-WRONGTYPE Operation against a key\r\n".to_vec()),
        (
            "message",
            b">3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$16\r\n0123456789abcdef\r\n".to_vec(),
        ),
        ("array of 1000 $5", array("$5\r\nhello\r\n").into_bytes()),
        ("array of 1000 :1", array(":1\r\n").into_bytes()),
    ]
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (name, frame) in frames() {
        let count = if frame.len() > 1000 {
            1
        } else {
            FRAMES_PER_READ
        };
        let input = frame.repeat(count);
        let mut decoder = Decoder::new(Limits::default());
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut rest = black_box(input.as_slice());
                while let Ok(Some(length)) = decoder.poll_frame(rest) {
                    rest = &rest[length..];
                }
                assert!(rest.is_empty());
            });
        });
    }
    group.finish();
}

fn from_reply(c: &mut Criterion) {
    fn read<T: FromReply>(c: &mut Criterion, what: &str, frame: &[u8]) {
        c.bench_function(&format!("from_reply/{what}"), |b| {
            b.iter(|| T::from_reply(Reply::parse(black_box(frame)).unwrap()).unwrap());
        });
    }
    let frames = frames();
    let frame = |wanted: &str| {
        frames
            .iter()
            .find(|(name, _)| *name == wanted)
            .unwrap()
            .1
            .as_slice()
    };
    read::<()>(c, "+OK as ()", frame("+OK"));
    read::<i64>(c, ":1 as i64", frame(":1"));
    read::<String>(c, "$5 as String", frame("$5 hello"));
    read::<Vec<String>>(c, "1000 as Vec<String>", frame("array of 1000 $5"));
    read::<Value>(c, "1000 as Value", frame("array of 1000 $5"));
    read::<Vec<i64>>(c, "1000 as Vec<i64>", frame("array of 1000 :1"));
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    group.bench_function("cmd SET", |b| {
        b.iter(|| {
            cmd("SET")
                .arg(black_box("key:123456"))
                .arg(black_box("0123456789abcdef"))
        });
    });
    group.throughput(Throughput::Elements(FRAMES_PER_READ as u64));
    group.bench_function("1000 SET into one buffer", |b| {
        b.iter_batched_ref(
            || Vec::with_capacity(64 * FRAMES_PER_READ),
            |buffer| {
                for number in 0..FRAMES_PER_READ {
                    CommandWriter::new(buffer, "SET")
                        .arg("key:123456")
                        .arg(number);
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("MGET of 1000", |b| {
        b.iter(|| cmd("MGET").arg(0..FRAMES_PER_READ));
    });
    group.finish();
}

criterion_group!(benches, decode, from_reply, encode);
criterion_main!(benches);
