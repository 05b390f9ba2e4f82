//! How ranks find each other over TCP, what they say when something does not fit, and what
//! strangers may do to their ports.

use super::*;

#[test]
fn everybody_learns_how_many_workers_there_are() {
    for joined in join_all(setups(4)) {
        assert_eq!(joined.unwrap().1, [1, 2, 3, 4]);
    }
}

#[test]
fn a_wrong_secret_ends_both_sides_with_77() {
    let mut all = setups(2);
    all[1].secret = b"another".to_vec();
    let hosts = all[0].hosts.clone();
    for (joined, other) in join_all(all).into_iter().zip([1, 0]) {
        let (status, line) = failure(joined);
        assert_eq!(status, 77, "{line}");
        assert!(
            line.starts_with(&format!("rank {other} ({}) holds another", hosts[other])),
            "{line}"
        );
    }
}

#[test]
fn other_options_end_both_sides_with_76_and_name_both_values() {
    let mut all = setups(2);
    all[1].options = all[1].options.replace("100", "50");
    let hosts = all[0].hosts.clone();
    let lines: Vec<_> = join_all(all).into_iter().map(failure).collect();
    let expected = [
        format!("--topics is 100 here but 50 on rank 1 ({})", hosts[1]),
        format!("--topics is 50 here but 100 on rank 0 ({})", hosts[0]),
    ];
    for ((status, line), expected) in lines.iter().zip(expected) {
        assert_eq!(*status, 76, "{line}");
        assert!(line.starts_with(&expected), "{line}");
    }
}

#[test]
fn another_version_ends_both_sides_with_76() {
    let mut all = setups(2);
    all[1].protocol = PROTOCOL + 1;
    for (joined, other) in join_all(all).into_iter().zip([1, 0]) {
        let (status, line) = failure(joined);
        assert_eq!(status, 76, "{line}");
        assert!(
            line.starts_with(&format!("rank {other} (127.0.0.1:")),
            "{line}"
        );
        assert!(
            line.contains("(protocol 1)") && line.contains("(protocol 2)"),
            "{line}"
        );
    }
}

#[test]
fn another_run_or_world_ends_both_sides_with_76() {
    let mut all = setups(2);
    all[1].run_id = [8; 16];
    for (status, line) in join_all(all).into_iter().map(failure) {
        assert!(
            status == 76 && line.contains(" belongs to run 0"),
            "{status} {line}"
        );
    }
    let mut all = setups(2);
    all[1].hosts.push("127.0.0.1:1".into());
    all[1].deadline = Duration::from_secs(5);
    for (status, line) in join_all(all).into_iter().map(failure) {
        assert!(
            status == 76 && line.contains("use one hosts file"),
            "{status} {line}"
        );
    }
}

#[test]
fn the_others_end_with_the_status_of_the_root_cause() {
    let mut all = setups(3);
    // Rank 2 is wrong about what only rank 0 will ever see.
    all[2].hosts[1] = "127.0.0.1:1".into();
    all[2].run_id = [8; 16];
    for (status, line) in join_all(all).into_iter().map(failure) {
        assert!(status == 76, "{status} {line}");
    }
}

#[test]
fn missing_ranks_are_named_at_the_deadline() {
    let mut all = setups(4);
    let _held = all.split_off(2);
    for setup in &mut all {
        setup.deadline = Duration::from_millis(400);
    }
    let hosts = all[0].hosts.clone();
    for (status, line) in join_all(all).into_iter().map(failure) {
        assert_eq!(status, 69, "{line}");
        for rank in [2, 3] {
            assert!(
                line.contains(&format!("rank {rank} ({})", hosts[rank])),
                "{line}"
            );
        }
        assert!(
            !line.contains("rank 0") && !line.contains("rank 1"),
            "{line}"
        );
    }
}

#[test]
fn a_missing_lower_rank_is_named_with_the_reason() {
    let mut all = setups(2);
    drop(all.remove(0));
    all[0].deadline = Duration::from_millis(300);
    let (status, line) = failure(Transport::tcp(all.remove(0)));
    assert_eq!(status, 69, "{line}");
    assert!(
        line.contains("rank 0 (127.0.0.1:") && line.contains("refused"),
        "{line}"
    );
}

#[test]
fn a_second_process_of_the_same_rank_is_turned_away() {
    let mut all = setups(3);
    let (_absent, second, first) = (all.pop(), all.pop().unwrap(), all.pop().unwrap());
    let mut twin = setups(1).remove(0);
    twin.rank = 1;
    twin.hosts = second.hosts.clone();
    let (stop, tell) = (Arc::clone(&first.interrupt), mpsc::channel());
    let first = thread::spawn(|| Transport::tcp(first));
    let spawn = |setup| {
        let told = tell.0.clone();
        thread::spawn(move || told.send(failure(Transport::tcp(setup))).unwrap())
    };
    let pair = [spawn(second), spawn(twin)];
    // All wait for rank 2, so only the one that came too late ends.
    let (status, line) = tell.1.recv().unwrap();
    assert_eq!(status, 69, "{line}");
    assert!(
        line.contains("another process already takes part as rank 1"),
        "{line}"
    );
    stop.store(2, Relaxed);
    assert_eq!(failure(first.join().unwrap()).0, 130);
    assert_eq!(tell.1.recv().unwrap().0, 130);
    pair.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, line) = failure(Transport::tcp(TcpSetup::new(0, vec![address.clone()])));
    assert_eq!(status, 69);
    assert!(line.starts_with(&format!(
        "rank 0 cannot listen on {address}: the port is taken"
    )));
}

#[test]
fn the_same_ports_can_be_used_again_at_once() {
    let hosts = {
        let all = setups(2);
        all[0].hosts.clone()
    };
    for _ in 0..3 {
        let again = (0..2)
            .map(|rank| TcpSetup::new(rank, hosts.clone()))
            .collect();
        let ends = connected(again);
        ends[0].send(1, interrupt(2));
        message(&ends[1], 0);
        close_all(ends);
    }
}

#[test]
fn ctrl_c_ends_the_wait() {
    let mut all = setups(2);
    let interrupt = Arc::clone(&all[0].interrupt);
    let waiting = thread::spawn(move || Transport::tcp(all.remove(0)));
    interrupt.store(2, Relaxed);
    assert_eq!(
        waiting.join().unwrap().err(),
        Some(Error::Interrupted { signal: 2 })
    );
}

/// Everything a stranger may do to a port, then whatever it gets back until it is turned away.
fn strangers(address: &str) -> Vec<TcpStream> {
    let mut kept = Vec::new();
    let mut cut = MAGIC.to_vec();
    cut.extend_from_slice(&PROTOCOL.to_le_bytes());
    let mut oversized = cut.clone();
    oversized.resize(84, 0);
    oversized.extend_from_slice(&[1, 0xff, 0xff, 0xff, 0xff]);
    let says: [&[u8]; 7] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        &MAGIC[..5],
        &cut,
        &oversized,
        &[0; 100_000],
    ];
    for said in says.iter().cycle().take(70) {
        let mut stream = TcpStream::connect(address).unwrap();
        // It may be cut off while it still speaks.
        let _ = stream.write_all(said);
        if said.len() % 2 == 0 {
            let _ = stream.shutdown(Shutdown::Both);
        } else {
            kept.push(stream);
        }
    }
    kept
}

#[test]
fn strangers_change_nothing_before_and_during_the_run() {
    let all = setups(2);
    let hosts = all[0].hosts.clone();
    let before: Vec<_> = hosts.iter().map(|host| strangers(host)).collect();
    let ends = connected(all);
    let during: Vec<_> = hosts.iter().map(|host| strangers(host)).collect();
    for number in 0..200 {
        ends[0].send(1, gather(number, 1000));
        assert!(matches!(message(&ends[1], 0), Message::Gather { number: n, .. } if n == number));
    }
    // They are all shown the door.
    for mut stream in before.into_iter().chain(during).flatten() {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 200);
    }
    ends[1].send(0, interrupt(15));
    assert!(matches!(
        message(&ends[0], 1),
        Message::Interrupt { signal: 15 }
    ));
    close_all(ends);
}

#[test]
fn hundreds_of_mute_connections_do_not_keep_a_rank_out() {
    let mut all = setups(2);
    let host = all[0].hosts[0].clone();
    let late = all.pop().unwrap();
    let first = thread::spawn(|| connected(all));
    let crowd: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(&host).unwrap())
        .collect();
    let mut ends = connected(vec![late]);
    ends.extend(first.join().unwrap());
    drop(crowd);
    close_all(ends);
}

#[test]
fn a_rank_of_another_secret_is_turned_away_during_the_run() {
    let mut all = setups(2);
    let mut late = setups(1).remove(0);
    late.rank = 1;
    late.hosts = all[0].hosts.clone();
    late.secret = b"another".to_vec();
    all[0].timing.silence = Duration::from_secs(5);
    let ends = connected(all);
    assert_eq!(failure(Transport::tcp(late)).0, 77);
    ends[0].send(1, interrupt(2));
    assert!(matches!(message(&ends[1], 0), Message::Interrupt { .. }));
    close_all(ends);
}
