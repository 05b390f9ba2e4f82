//! Messages survive the wire, nonsense does not, and the handshake tells the two apart.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use petuum::error::Error;
use petuum::wire::assembly::Assembler;
use petuum::wire::bf16;
use petuum::wire::codec::{self, Kind};
use petuum::wire::frame;
use petuum::wire::hello::{Handshake, Identity, MAGIC, PROTOCOL, Peer, Step};
use petuum::wire::message::{ClockStats, Elements, Message, Payload, RowBatch};
use petuum::wire::queue::{Batch, Prepared, Queue};
use petuum::wire::varint::Reader;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn ascending() -> impl Strategy<Value = Vec<u64>> {
    let number = prop_oneof![0..100u64, any::<u64>()];
    btree_set(number, 0..12).prop_map(|rows| rows.into_iter().collect())
}

fn elements(count: usize) -> impl Strategy<Value = Elements> {
    prop_oneof![
        vec(-1e9f32..1e9, count).prop_map(Elements::F32),
        vec(-1e99f64..1e99, count).prop_map(Elements::F64),
        vec(any::<i32>(), count).prop_map(Elements::I32),
        vec(any::<i64>(), count).prop_map(Elements::I64),
        vec(any::<u32>(), count).prop_map(Elements::U32),
        vec((-1e9f32..1e9).prop_map(bf16::rounded), count).prop_map(Elements::Bf16),
    ]
}

fn dense() -> impl Strategy<Value = RowBatch> {
    (any::<u16>(), ascending(), 0..5usize).prop_flat_map(|(table, rows, width)| {
        elements(rows.len() * width).prop_map(move |elements| {
            let rows = rows.clone();
            RowBatch {
                table,
                rows,
                ends: vec![],
                columns: vec![],
                elements,
            }
        })
    })
}

fn sparse() -> impl Strategy<Value = RowBatch> {
    let columns = btree_set(prop_oneof![0..9u32, any::<u32>()], 0..6);
    let rows = (any::<u16>(), ascending()).prop_filter("rows", |(_, rows)| !rows.is_empty());
    rows.prop_flat_map(move |(table, rows)| {
        vec(columns.clone(), rows.len()).prop_flat_map(move |of_rows| {
            let columns: Vec<u32> = of_rows.iter().flatten().copied().collect();
            let mut end = 0;
            let ends = of_rows.iter().map(|row| {
                end += row.len() as u32;
                end
            });
            let ends: Vec<u32> = ends.collect();
            let rows = rows.clone();
            elements(columns.len()).prop_map(move |elements| RowBatch {
                table,
                rows: rows.clone(),
                ends: ends.clone(),
                columns: columns.clone(),
                elements,
            })
        })
    })
}

fn batches() -> impl Strategy<Value = Vec<RowBatch>> {
    vec(prop_oneof![dense(), sparse()], 0..3)
}

fn stats() -> impl Strategy<Value = ClockStats> {
    let numbers = (any::<[u64; 3]>(), vec(any::<u64>(), 0..9));
    (0.0..1e9f64, 0.0..1e9f64, numbers).prop_map(|(seconds, wait_seconds, (n, counts))| {
        let [staleness_sum, reads, staleness_max] = n;
        ClockStats {
            seconds,
            wait_seconds,
            staleness_sum,
            reads,
            staleness_max,
            staleness_counts: counts,
        }
    })
}

/// Any message but `Goodbye`. A kind that is added to the enum is missed by `every_kind_is_tried`.
fn message() -> impl Strategy<Value = Message> {
    let (n, m, c) = (any::<u64>(), any::<u32>(), any::<i64>());
    prop_oneof![
        (n, c, any::<bool>(), batches()).prop_map(|(number, completes, answer, batches)| {
            Message::Updates {
                number,
                completes,
                answer,
                batches: Arc::new(batches),
            }
        }),
        (any::<u16>(), ascending(), c).prop_map(|(table, rows, stamp)| Message::Pull {
            table,
            rows,
            stamp
        }),
        (n, n, c, any::<bool>(), n, batches()).prop_map(
            |(number, covers, stamp, complete, included, batches)| Message::Rows {
                number,
                covers,
                stamp,
                complete,
                included,
                batches
            }
        ),
        n.prop_map(|number| Message::Refresh { number }),
        (any::<u16>(), m, n, m, bytes()).prop_map(|(table, block, turn, worker, bytes)| {
            Message::Block {
                table,
                block,
                turn,
                worker,
                payload: Payload::Bytes(bytes),
            }
        }),
        (any::<u16>(), m, n).prop_map(|(table, block, turn)| Message::BlockArrived {
            table,
            block,
            turn
        }),
        (
            m,
            c,
            stats(),
            any::<[u64; 2]>(),
            option::of(bytes()),
            any::<bool>()
        )
            .prop_map(
                |(worker, clock, stats, bytes, partial, ended)| Message::Report {
                    worker,
                    clock,
                    stats: Box::new(stats),
                    bytes,
                    partial: partial.map(Payload::Bytes),
                    ended
                }
            ),
        (c, c, option::of(bytes())).prop_map(|(clock, last, update)| Message::Verdict {
            clock,
            last,
            update
        }),
        c.prop_map(|clock| Message::Checkpointed { clock }),
        (n, bytes()).prop_map(|(number, payload)| Message::Gather { number, payload }),
        (n, vec(bytes(), 0..4))
            .prop_map(|(number, payloads)| Message::Gathered { number, payloads }),
        any::<u8>().prop_map(|signal| Message::Interrupt { signal }),
        (any::<u8>(), ".{0,20}").prop_map(|(status, message)| Message::Abort { status, message }),
    ]
}

/// All frames of what is queued.
fn drained(queue: &mut Queue) -> BytesMut {
    let (mut batch, mut chunks) = (Batch::default(), VecDeque::new());
    while queue.take(1000, &mut batch) {
        batch.frames(&mut chunks);
    }
    chunks
        .iter()
        .flat_map(|chunk: &Bytes| chunk.iter().copied())
        .collect()
}

fn frames(message: Message) -> BytesMut {
    let mut queue = Queue::default();
    queue.push(Prepared::new(message));
    drained(&mut queue)
}

/// Everything that comes out of `stream`, until its end or its first mistake.
fn received(mut stream: BytesMut) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut assembler = Assembler::default();
    while let Ok(Some(frame)) = frame::decode(&mut stream) {
        if assembler.push(frame).is_err() {
            break;
        }
        while let Ok(Some(message)) = assembler.next() {
            messages.push(message);
        }
    }
    messages
}

/// What a message says, payloads and all.
fn text(message: &Message) -> String {
    let payload = match message {
        Message::Block { payload, .. } => Some(payload),
        Message::Report { partial, .. } => partial.as_ref(),
        _ => None,
    };
    match payload {
        Some(Payload::Bytes(bytes)) => format!("{message:?} {bytes:?}"),
        _ => format!("{message:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_message_comes_back(message in message()) {
        let before = text(&message);
        let bytes_max = codec::bytes_max(&message);
        let stream = frames(message);
        prop_assert!(stream.len() <= frame::HEADER_BYTES + frame::ITEM_BYTES + bytes_max);
        let after: Vec<String> = received(stream).iter().map(text).collect();
        prop_assert_eq!(after, [before]);
    }

    #[test]
    fn a_row_of_messages_keeps_its_order(messages in vec(message(), 1..20)) {
        let abort = messages.iter().rposition(|m| Kind::of(m) == Kind::Abort).unwrap_or(0);
        let before: Vec<String> = messages[abort..].iter().map(text).collect();
        let mut queue = Queue::default();
        for message in messages {
            queue.push(Prepared::new(message));
        }
        let after: Vec<String> = received(drained(&mut queue)).iter().map(text).collect();
        prop_assert_eq!(after, before);
    }

    #[test]
    fn a_cut_message_is_an_error(message in message(), cut in any::<prop::sample::Index>()) {
        let kind = Kind::of(&message);
        let mut encoder = codec::Encoder::append(Vec::new());
        codec::encode(message, &mut encoder);
        let bytes = encoder.into_buffer();
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert!(codec::decode(kind, &mut Reader::new(cut)).is_err());
    }

    #[test]
    fn nonsense_is_an_error_not_a_panic(kind in 0..Kind::COUNT, bytes in vec(any::<u8>(), 0..200)) {
        let kind = Kind::ALL[kind];
        if let Ok(message) = codec::decode(kind, &mut Reader::new(&bytes)) {
            // Nonsense that happens to mean something must mean it consistently.
            let mut encoder = codec::Encoder::append(Vec::new());
            let before = text(&message);
            codec::encode(message, &mut encoder);
            let again = codec::decode(kind, &mut Reader::new(&encoder.into_buffer()));
            prop_assert_eq!(again.map(|message| text(&message)), Ok(before));
        }
        received(BytesMut::from(&bytes[..]));
    }

    #[test]
    fn a_damaged_stream_yields_a_prefix(
        messages in vec(message(), 1..6),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let before: Vec<String> = messages.iter().map(text).collect();
        let stream = messages.into_iter().map(frames).collect::<Vec<_>>().concat();
        let mut stream = BytesMut::from(&stream[..]);
        let at = at.index(stream.len());
        stream[at] ^= 1 << bit;
        let after: Vec<String> = received(stream).iter().map(text).collect();
        prop_assert!(after.len() < before.len());
        prop_assert_eq!(&after[..], &before[..after.len()]);
    }

    #[test]
    fn the_handshake_survives_anything(
        bytes in vec(any::<u8>(), 0..300),
        magic in any::<bool>(),
        accepts in any::<bool>(),
    ) {
        let identity = identity(1, 3);
        let mut handshake = match accepts {
            true => Handshake::incoming(&identity, "somewhere".into(), [1; 32]),
            false => Handshake::connect(&identity, 0, [1; 32]),
        };
        let mut input = BytesMut::new();
        if magic {
            input.extend_from_slice(&MAGIC);
            input.extend_from_slice(&PROTOCOL.to_le_bytes());
        }
        input.extend_from_slice(&bytes);
        let step = handshake.step(&mut input, &mut Vec::new());
        prop_assert!(!matches!(step, Step::Done(_) | Step::Offered(_)));
    }
}

#[test]
fn every_kind_is_tried() {
    let mut runner = TestRunner::deterministic();
    let mut seen = vec![Kind::Goodbye];
    for _ in 0..2000 {
        let kind = Kind::of(&message().new_tree(&mut runner).unwrap().current());
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    assert_eq!(seen.len(), Kind::COUNT);
}

#[test]
fn a_count_alone_claims_no_memory() {
    // A table or number 0, and then 2^62 rows or payloads.
    for kind in [Kind::Pull, Kind::Gathered] {
        let bytes = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
        let decoded = codec::decode(kind, &mut Reader::new(&bytes));
        assert_eq!(
            decoded.unwrap_err().to_string(),
            "a count that its message has no room for"
        );
    }
}

fn updates(rows: Vec<u64>, elements: Elements) -> Message {
    let batch = RowBatch {
        table: 0,
        rows,
        ends: vec![],
        columns: vec![],
        elements,
    };
    Message::Updates {
        number: 70,
        completes: 3,
        answer: false,
        batches: Arc::new(vec![batch]),
    }
}

#[test]
fn messages_are_as_small_as_they_should_be() {
    let around = frame::HEADER_BYTES + frame::ITEM_BYTES;
    let empty = frames(updates(vec![], Elements::F32(vec![]))).len();
    let floats = updates((50..60).collect(), Elements::F32(vec![0.5; 1000]));
    assert_eq!(frames(floats).len(), empty + 2 + 1 + 4000);
    let counts = updates(
        (0..1000).map(|row| 3 * row).collect(),
        Elements::I32(vec![-1; 1000]),
    );
    assert_eq!(frames(counts).len(), empty + 2 + 1 + 1 + 1000);
    let uneven = (0..1000).map(|row| 3 * row + row % 2).collect();
    let counts = updates(uneven, Elements::I32(vec![-1; 1000]));
    assert_eq!(frames(counts).len(), empty + 2 * (1 + 1000) + 1);
    assert_eq!(frames(Message::Interrupt { signal: 2 }).len(), around + 1);
}

#[test]
fn large_messages_take_turns_and_small_ones_pass() {
    let block = |bytes: usize| Message::Block {
        table: 0,
        block: 0,
        turn: bytes as u64,
        worker: 0,
        payload: Payload::Bytes(vec![1; bytes].into()),
    };
    let mut queue = Queue::default();
    queue.push(Prepared::new(block(20 << 20)));
    queue.push(Prepared::new(block(10)));
    queue.push(Prepared::new(updates(
        vec![0],
        Elements::F64(vec![1.0; 1 << 18]),
    )));
    queue.push(Prepared::new(Message::Interrupt { signal: 2 }));
    queue.goodbye();
    queue.push(Prepared::new(Message::Interrupt { signal: 15 }));
    let kinds: Vec<Kind> = received(drained(&mut queue)).iter().map(Kind::of).collect();
    let order = [
        Kind::Interrupt,
        Kind::Updates,
        Kind::Block,
        Kind::Block,
        Kind::Goodbye,
    ];
    assert_eq!(kinds, order);
}

#[test]
fn limited_blocks_leave_as_far_as_is_allowed() {
    let block = |turn, bytes| Message::Block {
        table: 0,
        block: 0,
        turn,
        worker: 0,
        payload: Payload::Bytes(vec![1; bytes].into()),
    };
    let mut queue = Queue::default();
    queue.limit_blocks();
    assert_eq!(queue.allow_blocks(500, 0), 0, "nothing is saved up");
    let told = [block(0, 100), block(1, 100_000)].map(|m| queue.push(Prepared::new(m)));
    assert_eq!(told, [0, 0]);
    assert!(drained(&mut queue).is_empty());
    let others = queue.push(Prepared::new(Message::Interrupt { signal: 2 }));
    let mut stream = drained(&mut queue);
    assert_eq!(stream.len() as u64, others);
    let mut rounds = 0;
    while queue.allow_blocks(7000, 0) > 0 {
        let part = drained(&mut queue);
        assert!(!part.is_empty() && part.len() <= 7000 + 2 * frame::HEADER_BYTES);
        stream.extend_from_slice(&part);
        rounds += 1;
    }
    assert_eq!(rounds, 100_100 / 7000 + 1);
    queue.push(Prepared::new(block(2, 50_000)));
    queue.goodbye();
    stream.extend_from_slice(&drained(&mut queue));
    let kinds: Vec<Kind> = received(stream).iter().map(Kind::of).collect();
    let blocks = [Kind::Block; 3];
    assert_eq!(
        kinds,
        [&[Kind::Interrupt], &blocks[..], &[Kind::Goodbye]].concat()
    );
}

#[test]
fn an_abort_discards_what_is_queued() {
    let mut queue = Queue::default();
    queue.push(Prepared::new(updates(
        vec![0],
        Elements::F64(vec![1.0; 1 << 20]),
    )));
    queue.push(Prepared::new(Message::Interrupt { signal: 2 }));
    queue.push(Prepared::new(Message::Abort {
        status: 75,
        message: "rank 1".into(),
    }));
    queue.goodbye();
    let kinds: Vec<Kind> = received(drained(&mut queue)).iter().map(Kind::of).collect();
    assert_eq!(kinds, [Kind::Abort, Kind::Goodbye]);
}

fn identity(rank: u32, ranks: u32) -> Identity {
    Identity {
        protocol: PROTOCOL,
        run_id: [3; 16],
        rank,
        hosts: (0..ranks).map(|rank| format!("host{rank}:7700")).collect(),
        workers: 10 + rank,
        options: "petuum 0.1.0\n--topics 100\n".into(),
        secret: b"secret".to_vec(),
    }
}

/// Lets two sides talk until both have finished: rank `to` accepts what `connects` says.
fn shake(connects: &Identity, to: u32, accepts: &Identity, chunk: usize) -> [Step; 2] {
    let mut sides = [
        Handshake::connect(connects, to, [1; 32]),
        Handshake::incoming(accepts, "10.0.0.9:5".into(), [2; 32]),
    ];
    let mut wires = [Vec::new(), Vec::new()];
    let mut inputs = [BytesMut::new(), BytesMut::new()];
    let mut ends = [None, None];
    sides[0].open(&mut wires[0]);
    while ends.iter().any(Option::is_none) {
        let before = wires[0].len() + wires[1].len();
        for i in 0..2 {
            let taken = chunk.min(wires[1 - i].len());
            inputs[i].extend(wires[1 - i].drain(..taken));
            match sides[i].step(&mut inputs[i], &mut wires[i]) {
                Step::More => {}
                Step::Offered(_) => sides[i].accept(&mut wires[i]),
                step if ends[i].is_none() => ends[i] = Some(step),
                _ => {}
            }
        }
        assert!(
            before > 0 || wires.iter().any(|wire| !wire.is_empty()),
            "both wait"
        );
    }
    ends.map(|end| end.unwrap())
}

fn refusals(connects: &Identity, to: u32, accepts: &Identity) -> [(u8, String); 2] {
    shake(connects, to, accepts, usize::MAX).map(|step| match step {
        Step::Refused { error, .. } => (error.status(), error.to_string()),
        step => panic!("{step:?}"),
    })
}

#[test]
fn ranks_of_one_run_accept_each_other_however_the_bytes_are_cut() {
    for chunk in [1, 7, 1000, usize::MAX] {
        let [connects, accepts] = shake(&identity(2, 3), 1, &identity(1, 3), chunk);
        assert!(
            matches!(
                connects,
                Step::Done(Peer {
                    rank: 1,
                    workers: 11
                })
            ),
            "{connects:?}"
        );
        assert!(
            matches!(
                accepts,
                Step::Done(Peer {
                    rank: 2,
                    workers: 12
                })
            ),
            "{accepts:?}"
        );
    }
}

#[test]
fn each_mismatch_has_its_status_and_names_both_values_and_the_host() {
    type Change = fn(&mut Identity);
    let cases: [(Change, u8, &str); 5] = [
        (
            |i| i.protocol = 9,
            76,
            "host0:7700) is petuum 0.1.0 (protocol 1), this rank is",
        ),
        (
            |i| i.secret = b"no".to_vec(),
            77,
            "host0:7700) holds another secret than this rank",
        ),
        (
            |i| i.run_id = [4; 16],
            76,
            "host0:7700) belongs to run 0303030303",
        ),
        (
            |i| i.hosts.truncate(2),
            76,
            "host0:7700) runs with 3 hosts, this rank with 2",
        ),
        (
            |i| i.options = "petuum 0.1.0\n--topics 50\n".into(),
            76,
            "--topics is 50 here but 100 on rank 0 (host0:7700)",
        ),
    ];
    for (change, status, line) in cases {
        let mut other = identity(1, 3);
        change(&mut other);
        let [connects, accepts] = refusals(&other, 0, &identity(0, 3));
        assert_eq!(
            [connects.0, accepts.0],
            [status; 2],
            "{} / {}",
            connects.1,
            accepts.1
        );
        assert!(connects.1.contains(line), "{}", connects.1);
        assert!(accepts.1.contains("host1:7700"), "{}", accepts.1);
        assert!(!accepts.1.contains('\n'));
    }
}

#[test]
fn a_rank_in_the_wrong_place_is_refused() {
    let [connects, accepts] = refusals(&identity(2, 3), 0, &identity(1, 3));
    assert_eq!([connects.0, accepts.0], [76; 2]);
    assert!(
        connects.1.contains("says it is rank 1, expected rank 0"),
        "{}",
        connects.1
    );
    assert!(
        accepts.1.contains("looks for rank 0 where rank 1 is"),
        "{}",
        accepts.1
    );
}

#[test]
fn nobody_learns_the_secret_from_his_own_reflection() {
    let identity = identity(1, 3);
    let mut side = Handshake::connect(&identity, 0, [1; 32]);
    let mut said = Vec::new();
    side.open(&mut said);
    let step = side.step(&mut BytesMut::from(&said[..]), &mut Vec::new());
    assert!(matches!(step, Step::Stray(_)), "{step:?}");
}

#[test]
fn nothing_is_proved_to_a_stranger_who_connects() {
    let ours = identity(0, 3);
    let mut stranger = identity(1, 3);
    stranger.secret = b"guess".to_vec();
    let mut accepts = Handshake::incoming(&ours, "somewhere".into(), [1; 32]);
    let mut connects = Handshake::connect(&stranger, 0, [2; 32]);
    let (mut there, mut here) = (Vec::new(), Vec::new());
    connects.open(&mut there);
    let mut input = BytesMut::from(&there[..]);
    assert!(matches!(accepts.step(&mut input, &mut here), Step::More));
    let greeting = here.len();
    there.clear();
    assert!(matches!(
        connects.step(&mut BytesMut::from(&here[..]), &mut there),
        Step::More
    ));
    let step = accepts.step(&mut BytesMut::from(&there[..]), &mut here);
    assert!(matches!(
        step,
        Step::Refused {
            rank: 1,
            error: Error::WrongSecret(_)
        }
    ));
    // After the greeting came a refusal and nothing else: kind 4, length, status 77.
    assert_eq!((here[greeting], here[greeting + 5]), (4, 77));
    assert_eq!(here.len(), greeting + 5 + here[greeting + 1] as usize);
}
