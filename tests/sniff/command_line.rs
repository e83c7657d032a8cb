//! Words, messages and exit codes.

use crate::{bx, imitation, sample};
use box_harness::scratch;

#[test]
fn help_is_shown_on_standard_output() {
    bx().run(["sniff", "--help"]).succeeds().stdout_has("Usage: box sniff").stderr("");
}

#[test]
fn the_incumbents_name_has_the_incumbents_messages() {
    let folder = scratch();
    let tcpdump = imitation(folder.path());
    tcpdump.run(["-r", "/nope"]).fails(1).stderr("tcpdump: /nope: No such file or directory\n");
    tcpdump.run(["-c", "0"]).fails(1).stderr("tcpdump: invalid packet count 0\n");
    tcpdump
        .run(["-x", "-A", "-r", "f"])
        .fails(1)
        .stderr("tcpdump: -A and -x[x] are mutually exclusive.\n");
    tcpdump.run(["-G", "5"]).fails(1).stderr("tcpdump: -G cannot be used without -w.\n");
    tcpdump.run(["-k"]).fails(1).stderr_has("tcpdump: invalid option -- 'k'\n").stdout("");
    tcpdump.run(["-h"]).succeeds().stdout_has("Usage: tcpdump [-Abd");
    tcpdump.run(["--version"]).succeeds().stdout_has("tcpdump version 4.99.6");
    tcpdump
        .run(["-i", "nosuch0"])
        .fails(1)
        .stderr("tcpdump: nosuch0: No such device exists\n(No such device exists)\n");
}

#[test]
fn the_own_name_has_the_house_form() {
    bx().run(["sniff", "-r", "/nope"])
        .fails(1)
        .stderr("box: sniff: /nope: No such file or directory\n");
}

#[test]
fn clusters_and_attached_values_mean_what_they_mean_to_getopt() {
    let folder = scratch();
    let file = folder.path().join("a.pcap");
    std::fs::write(&file, sample()).unwrap();
    let path = file.to_str().unwrap();
    let banner =
        format!("reading from file {path}, link-type EN10MB (Ethernet), snapshot length 262144\n");
    bx().run(["sniff", "-nntr", path, "-c1"])
        .succeeds()
        .stdout("IP 10.0.0.1.40000 > 10.0.0.2.9: UDP, length 5\n")
        .stderr(&banner);
    bx().run(["sniff", "-ntr", path, "arp", "-e"]).succeeds().stdout(
        "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: \
         Request who-has 10.0.0.2 tell 10.0.0.1, length 28\n",
    );
    bx().run(["sniff", "-r", path, "--count"]).succeeds().stdout("3 packets\n").stderr(&banner);
    bx().run(["sniff", "-ntr", path, "--number", "-q", "udp port 10"])
        .succeeds()
        .stdout("    1  IP 10.0.0.1.40000 > 10.0.0.2.10: UDP, length 0\n");
}

#[test]
fn a_bad_expression_is_refused_in_one_line() {
    let folder = scratch();
    let file = folder.path().join("a.pcap");
    std::fs::write(&file, sample()).unwrap();
    let ran =
        imitation(folder.path()).run(["-r", file.to_str().unwrap(), "tcp port port"]).fails(1);
    let errors = ran.err();
    let last = errors.lines().last().unwrap();
    assert_eq!(last, "tcpdump: can't parse filter expression: syntax error");
}

#[test]
fn filters_are_listed_without_a_capture() {
    bx().run(["sniff", "-d", "-y", "EN10MB", "arp"]).succeeds().stdout(
        "(000) ldh      [12]\n\
         (001) jeq      #0x806           jt 2\tjf 3\n\
         (002) ret      #262144\n\
         (003) ret      #0\n",
    );
}

#[test]
fn the_zone_of_the_viewer_counts() {
    let folder = scratch();
    let file = folder.path().join("a.pcap");
    std::fs::write(&file, sample()).unwrap();
    let args = ["sniff", "-nttttr", file.to_str().unwrap(), "-c1"];
    for (zone, expected) in [
        ("GMT0", "2023-11-14 22:13:20.000001 "),
        ("EST5EDT,M3.2.0,M11.1.0", "2023-11-14 17:13:20.000001 "),
        ("<+0530>-5:30", "2023-11-15 03:43:20.000001 "),
    ] {
        let output = bx().command(args).env("TZ", zone).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.starts_with(expected), "{zone}: {text}");
    }
}
