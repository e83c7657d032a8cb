//! The command line: the clap tree is what help, man page and completions are made of; the words are
//! parsed by `arguments`, as getopt_long does, since `-nnvvXSs0` and `-ttttnr F` must mean what they
//! mean to the incumbent.

use clap::{CommandFactory, Parser};

/// Capture and print packets, as tcpdump does.
///
/// Example: box sniff -nni any port 443
#[derive(Debug, Parser)]
#[command(name = "sniff", disable_help_flag = true, disable_version_flag = true)]
#[command(after_help = "Examples:
  box sniff -i eth0 -nn tcp port 443      what goes over a port, numbers for names
  box sniff -r capture.pcap -vv icmp      read a file
  box sniff -i any -w out.pcap            write a file; print nothing
  box sniff -d 'tcp[tcpflags] & tcp-syn != 0'   the filter as compiled")]
pub struct Cli {
    /// Listen on this interface, by name or number; `any` for all
    #[arg(short = 'i', long, value_name = "INTERFACE")]
    interface: Option<String>,
    /// Read packets from a file; `-` is standard input
    #[arg(short = 'r', value_name = "FILE")]
    read: Option<String>,
    /// Read the files that are listed in this file
    #[arg(short = 'V', value_name = "FILE")]
    read_list: Option<String>,
    /// Write packets to a file; `-` is standard output
    #[arg(short = 'w', value_name = "FILE")]
    write: Option<String>,
    /// Stop after this many packets
    #[arg(short = 'c', value_name = "COUNT")]
    packets: Option<u64>,
    /// Print only how many packets match
    #[arg(long)]
    count: bool,
    /// Print a number before each packet
    #[arg(short = '#', long)]
    number: bool,
    /// Numbers for hosts and ports
    #[arg(short = 'n', action = clap::ArgAction::Count)]
    numeric: u8,
    /// Names without their domain
    #[arg(short = 'N')]
    short_names: bool,
    /// Numbers for hosts that are not local
    #[arg(short = 'f')]
    foreign_numeric: bool,
    /// More of each packet; twice and three times for still more
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    verbose: u8,
    /// Less of each packet
    #[arg(short = 'q', action = clap::ArgAction::Count)]
    quiet: u8,
    /// The link-layer header
    #[arg(short = 'e')]
    link_header: bool,
    /// No time stamp; twice: seconds since 1970; three times: since the line before; four times:
    /// with the date; five times: since the first line
    #[arg(short = 't', action = clap::ArgAction::Count)]
    stamp: u8,
    /// Absolute TCP sequence numbers
    #[arg(short = 'S', long = "absolute-tcp-sequence-numbers")]
    absolute_sequence: bool,
    /// Do not verify checksums
    #[arg(short = 'K', long = "dont-verify-checksums")]
    unchecked: bool,
    /// The packet in hex; twice: with the link-layer header
    #[arg(short = 'x', action = clap::ArgAction::Count)]
    hex: u8,
    /// The packet in hex and ASCII; twice: with the link-layer header
    #[arg(short = 'X', action = clap::ArgAction::Count)]
    hex_ascii: u8,
    /// The packet in ASCII; twice: with the link-layer header
    #[arg(short = 'A', action = clap::ArgAction::Count)]
    ascii: u8,
    /// Bytes to capture of each packet
    #[arg(short = 's', long = "snapshot-length", value_name = "LENGTH")]
    snaplen: Option<u32>,
    /// List the interfaces
    #[arg(short = 'D', long = "list-interfaces")]
    list_interfaces: bool,
    /// List the link types of the interface
    #[arg(short = 'L', long = "list-data-link-types")]
    list_link_types: bool,
    /// Use this link type
    #[arg(short = 'y', long = "linktype", value_name = "TYPE")]
    link_type: Option<String>,
    /// Not in promiscuous mode
    #[arg(short = 'p', long = "no-promiscuous-mode")]
    not_promiscuous: bool,
    /// Only packets of this direction
    #[arg(short = 'Q', long = "direction", value_name = "in|out|inout")]
    direction: Option<String>,
    /// Size of the capture buffer in KiB
    #[arg(short = 'B', long = "buffer-size", value_name = "KIB")]
    buffer: Option<u32>,
    /// Write out each line as it comes
    #[arg(short = 'l')]
    line_buffered: bool,
    /// Write out each packet as it comes
    #[arg(short = 'U', long = "packet-buffered")]
    packet_buffered: bool,
    /// Deliver packets at once
    #[arg(long)]
    immediate_mode: bool,
    /// Print packets also when they are written to a file
    #[arg(long)]
    print: bool,
    /// The filter as compiled; twice: as C; three times: as numbers
    #[arg(short = 'd', action = clap::ArgAction::Count)]
    dump: u8,
    /// Do not optimize the filter
    #[arg(short = 'O', long = "no-optimize")]
    unoptimized: bool,
    /// Read the filter from a file
    #[arg(short = 'F', value_name = "FILE")]
    filter_file: Option<String>,
    /// A new file after so many millions of bytes (or with a unit: k, m, g)
    #[arg(short = 'C', value_name = "SIZE")]
    rotate_size: Option<String>,
    /// A new file after so many seconds
    #[arg(short = 'G', value_name = "SECONDS")]
    rotate_seconds: Option<u64>,
    /// At most so many files
    #[arg(short = 'W', value_name = "COUNT")]
    rotate_count: Option<u64>,
    /// Take the payload for this protocol
    #[arg(short = 'T', value_name = "TYPE")]
    payload: Option<String>,
    /// Run this command on each file that a rotation has filled
    #[arg(short = 'z', value_name = "COMMAND")]
    rotate_command: Option<String>,
    /// Give up privileges to this user once the capture is open
    #[arg(short = 'Z', long = "relinquish-privileges", value_name = "USER")]
    user: Option<String>,
    /// Write pcapng, also into a file of another name than `*.pcapng`
    #[arg(long)]
    pcapng: bool,
    /// In a filter, `vlan` and its kind move only what stands beside them, not what follows `or`
    #[arg(long)]
    strict_vlan: bool,
    /// Key of TCP-MD5 digests (RFC 2385)
    #[arg(short = 'M', value_name = "SECRET")]
    tcp_md5: Option<String>,
    /// Print the lengths of each packet, captured and on the wire
    #[arg(long)]
    lengths: bool,
    /// Pass over so many packets first
    #[arg(long, value_name = "COUNT")]
    skip: Option<u64>,
    /// Print only every so many-th packet
    #[arg(long, value_name = "N")]
    print_sampling: Option<u64>,
    /// Only packets whose fields fulfil this (a display filter, as of Wireshark)
    #[arg(long = "where", value_name = "FILTER")]
    display: Option<String>,
    /// An object of JSON for each packet
    #[arg(long)]
    json: bool,
    /// These fields of each packet, tabs between
    #[arg(long, value_name = "FIELD,...")]
    fields: Option<String>,
    /// Tables once the packets have ended: conv, endpoints, proto, io=SECONDS
    #[arg(long, value_name = "TABLE,...")]
    stats: Option<String>,
    /// What a connection carried, in order; with --hex or --raw in another form
    #[arg(long, value_name = "tcp:N")]
    follow: Option<String>,
    /// Text of a followed connection (the default)
    #[arg(long = "ascii")]
    follow_ascii: bool,
    /// Hex and text of a followed connection
    #[arg(long = "hex")]
    follow_hex: bool,
    /// Hex of a followed connection
    #[arg(long = "raw")]
    follow_raw: bool,
    /// Monitor mode of a wireless interface
    #[arg(short = 'I', long)]
    monitor_mode: bool,
    /// Who makes the time stamps
    #[arg(short = 'j', long, value_name = "TYPE")]
    time_stamp_type: Option<String>,
    /// List who can make the time stamps
    #[arg(short = 'J', long)]
    list_time_stamp_types: bool,
    /// The IP header on the same line with `-v`
    #[arg(short = 'g', long)]
    ip_oneline: bool,
    /// AS numbers in dotted notation
    #[arg(short = 'b')]
    as_dot: bool,
    /// Time stamps in microseconds
    #[arg(long)]
    micro: bool,
    /// Time stamps in nanoseconds
    #[arg(long)]
    nano: bool,
    /// Precision of time stamps
    #[arg(long, value_name = "micro|nano")]
    time_stamp_precision: Option<String>,
    /// Print help
    #[arg(short = 'h', long)]
    help: bool,
    /// Print version
    #[arg(long)]
    version: bool,
    /// Which packets (pcap-filter(7))
    #[arg(value_name = "EXPRESSION", trailing_var_arg = true)]
    expression: Vec<String>,
}

/// The clap tree.
pub fn command() -> clap::Command {
    Cli::command()
}
