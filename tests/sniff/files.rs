//! Capture files read and written, whole and damaged.

use crate::{bx, sample};
use box_harness::{oracle, scratch, shared};
use std::process::Command;

#[test]
fn a_capture_is_rewritten_as_it_was() {
    let ran = bx().feed(["sniff", "-r", "-", "-w", "-"], sample()).succeeds();
    assert_eq!(ran.output.stdout, sample());
}

#[test]
fn what_is_whole_is_printed_before_the_damage_is_told() {
    let whole = sample();
    let cut = &whole[..whole.len() - 2];
    let ran = bx().feed(["sniff", "-nt", "-r", "-"], cut).fails(1);
    assert_eq!(ran.out().lines().count(), 2);
    let message = "pcap_loop: truncated dump file; tried to read 42 captured bytes, only got 40";
    assert_eq!(ran.err().lines().last(), Some(&*format!("box: sniff: {message}")));
    bx().feed(["sniff", "-r", "-"], &whole[..6]).fails(1).stderr(
        "box: sniff: truncated dump file; tried to read 24 file header bytes, only got 6\n",
    );
    bx().feed(["sniff", "-r", "-"], "")
        .fails(1)
        .stderr("box: sniff: truncated dump file; tried to read 4 file header bytes, only got 0\n");
    bx().feed(["sniff", "-r", "-"], "not a capture at all, but long enough to be one")
        .fails(1)
        .stderr("box: sniff: unknown file format\n");
}

#[test]
fn files_rotate_by_size_with_padded_numbers() {
    let folder = scratch();
    let base = folder.path().join("out.pcap");
    let mut big = sample();
    let record = big[24..].to_vec();
    for _ in 0..30 {
        big.extend_from_slice(&record);
    }
    let args = ["sniff", "-r", "-", "-w", base.to_str().unwrap(), "-C", "1k", "-W", "3"];
    bx().feed(args, big).succeeds();
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["out.pcap0", "out.pcap1", "out.pcap2"]);
    for name in names {
        let path = folder.path().join(name);
        bx().run(["sniff", "-r", path.to_str().unwrap(), "--count"]).succeeds();
    }
}

#[test]
fn captures_of_the_set_are_rewritten_as_the_incumbent_does() {
    let Some(folder) = shared("sniff/tcpdump-tests") else { return };
    let Some(tcpdump) = oracle("tcpdump") else { return };
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        if !name.ends_with(".pcap") && !name.ends_with(".pcapng") {
            continue;
        }
        let theirs = Command::new(&tcpdump).args(["-r", &name, "-w", "-"]).output().unwrap();
        let ours = bx().command(["sniff", "-r", &name, "-w", "-"]).output().unwrap();
        if theirs.status.success() {
            assert!(ours.status.success(), "{name}: {}", String::from_utf8_lossy(&ours.stderr));
            assert!(ours.stdout == theirs.stdout, "{name} is rewritten differently");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared} captures compared");
}

#[test]
fn pcapng_is_written_by_name_or_option_and_keeps_packets_and_nanoseconds() {
    let folder = scratch();
    let path = folder.path().join("out.pcapng");
    let name = path.to_str().unwrap();
    bx().feed(["sniff", "-r", "-", "-w", name], sample()).succeeds();
    let by_name = std::fs::read(&path).unwrap();
    assert_eq!(by_name[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    let by_option = bx().feed(["sniff", "-r", "-", "--pcapng", "-w", "-"], sample()).succeeds();
    assert_eq!(by_option.output.stdout, by_name);
    let back = bx().run(["sniff", "-r", name, "-w", "-"]).succeeds();
    assert_eq!(back.output.stdout, sample());
    // The incumbent's name writes what the incumbent writes.
    crate::imitation(folder.path()).feed(["-r", "-", "-w", name], sample()).succeeds();
    assert_eq!(std::fs::read(&path).unwrap(), sample());
    if let Some(tcpdump) = oracle("tcpdump") {
        std::fs::write(&path, by_name).unwrap();
        let ran = Command::new(tcpdump).args(["-r", name, "-w", "-"]).output().unwrap();
        assert_eq!(ran.stdout, sample());
    }
}

#[test]
fn a_rotation_goes_on_without_the_right_to_the_folder() {
    if !box_harness::root() {
        return;
    }
    let Some(_) = oracle("gzip") else { return };
    let folder = scratch();
    let base = folder.path().join("out.pcap");
    let mut big = sample();
    let record = big[24..].to_vec();
    for _ in 0..30 {
        big.extend_from_slice(&record);
    }
    // The folder is root's; the files are for nobody, who may write none of them there.
    let args = ["sniff", "-r", "-", "-w", base.to_str().unwrap(), "-C", "1k", "-Z", "nobody"];
    let ran = bx().feed([&args[..], &["-z", "true"]].concat(), big).succeeds();
    assert!(ran.err().contains("dropped privs to nobody\n"), "{}", ran.err());
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(files >= 4, "{files} files");
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_ne!(std::os::unix::fs::MetadataExt::uid(&path.metadata().unwrap()), 0);
        bx().run(["sniff", "-r", path.to_str().unwrap(), "--count"]).succeeds();
    }
    bx().feed(["sniff", "-r", "-", "-Z", "nosuchuser"], sample())
        .fails(1)
        .err()
        .lines()
        .last()
        .map(|line| assert_eq!(line, "box: sniff: Couldn't find user 'nosuchuser'"))
        .expect("a message");
}
