//! Text to tokens. The longest match wins; of equally long ones, the order is: reserved word,
//! MAC address, number, dotted numbers, IPv6 address, named constant, name.

use super::FilterError;
use super::keyword::{Keyword, constant, keyword};
use std::net::Ipv6Addr;

/// A token. Operators of one and two characters are [`Token::Symbol`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A reserved word; `&&`, `||` and `!` are `and`, `or` and `not`.
    Word(Keyword),
    /// A number or a named constant.
    Number(u32),
    /// Any other word.
    Name(&'a str),
    /// Two to four numbers with dots.
    Dotted(&'a str),
    /// An IPv6 address and its text.
    V6(Ipv6Addr, &'a str),
    /// A MAC address.
    Mac([u8; 6]),
    /// `$` and an 8-bit address.
    Mac8(u8),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// The symbols, longest first. `==` is `=`; `!=` is not `!` and `=`.
const SYMBOLS: &[(&str, &str)] = &[
    ("&&", "and"),
    ("||", "or"),
    (">=", ">="),
    ("<=", "<="),
    ("!=", "!="),
    ("==", "="),
    ("<<", "<<"),
    (">>", ">>"),
    ("!", "not"),
    ("+", "+"),
    ("-", "-"),
    ("*", "*"),
    ("/", "/"),
    ("%", "%"),
    (":", ":"),
    ("[", "["),
    ("]", "]"),
    ("<", "<"),
    (">", ">"),
    ("(", "("),
    (")", ")"),
    ("&", "&"),
    ("|", "|"),
    ("^", "^"),
    ("=", "="),
];

/// The longest text that is tried as an IPv6 address.
const LONGEST_V6: usize = 80;

/// A cursor over the expression.
#[derive(Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    /// The next token.
    ///
    /// # Errors
    /// A character that begins nothing, a number of more than 32 bits, a bad address.
    pub fn token(&mut self) -> Result<Token<'a>, FilterError> {
        let rest = &self.text[self.at..];
        let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.at = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let (token, length) = match first {
            '\\' => escaped(rest)?,
            '$' => mac8(rest)?,
            _ => match symbol(rest) {
                Some(found) if first != ':' => found,
                found => word(rest, found)?,
            },
        };
        self.at += length;
        Ok(token)
    }
}

/// `\` and the name that follows, taken as a name even if it is a reserved word.
fn escaped(text: &str) -> Result<(Token<'_>, usize), FilterError> {
    let name = text[1..].split([' ', '!', '(', ')', '\n', '\t']).next().unwrap_or_default();
    if name.is_empty() {
        return Err(FilterError::syntax());
    }
    Ok((Token::Name(name), 1 + name.len()))
}

fn mac8(text: &str) -> Result<(Token<'_>, usize), FilterError> {
    let length = leading(&text.as_bytes()[1..], u8::is_ascii_hexdigit).min(2);
    match u8::from_str_radix(&text[1..1 + length], 16) {
        Ok(address) => Ok((Token::Mac8(address), 1 + length)),
        Err(_) => Err(FilterError::syntax()),
    }
}

fn symbol(text: &str) -> Option<(Token<'static>, usize)> {
    let (written, meant) = SYMBOLS.iter().find(|(written, _)| text.starts_with(written))?;
    let token = keyword(meant).map_or(Token::Symbol(meant), Token::Word);
    Some((token, written.len()))
}

/// Names, numbers and addresses: what is longest.
fn word<'a>(
    text: &'a str,
    symbol: Option<(Token<'static>, usize)>,
) -> Result<(Token<'a>, usize), FilterError> {
    let bytes = text.as_bytes();
    let name = name_length(bytes);
    let number = number_length(bytes);
    let dotted = dotted_length(bytes);
    let mac = mac_length(bytes);
    let v6 = v6_length(bytes);
    let colons = broken_mac_length(bytes);
    let longest = name.max(number).max(dotted).max(mac).max(v6).max(colons);
    let matched = &text[..longest];
    if longest == 0 {
        return symbol.ok_or_else(FilterError::syntax);
    }
    if longest == name
        && let Some(word) = keyword(matched)
    {
        return Ok((Token::Word(word), longest));
    }
    let token = if longest == mac {
        Token::Mac(mac_address(matched))
    } else if longest == number {
        Token::Number(parse_number(matched).map_err(|error| error.describe(matched))?)
    } else if longest == dotted {
        Token::Dotted(matched)
    } else if longest == v6 {
        let address = matched.parse();
        let invalid = |_| FilterError::new(format!("invalid IPv6 address {matched}"));
        Token::V6(address.map_err(invalid)?, matched)
    } else if longest == colons {
        return Err(FilterError::new(format!("bogus ethernet address {matched}")));
    } else {
        constant(matched).map_or(Token::Name(matched), Token::Number)
    };
    Ok((token, longest))
}

fn leading(bytes: &[u8], what: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| what(byte)).count()
}

/// A letter or digit, then those and `-`, `_`, `.`; the last is not `-` or `_`.
fn name_length(bytes: &[u8]) -> usize {
    if !bytes.first().is_some_and(u8::is_ascii_alphanumeric) {
        return 0;
    }
    let mut length = leading(bytes, |b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
    while length > 1 && matches!(bytes[length - 1], b'-' | b'_') {
        length -= 1;
    }
    length
}

/// Digits, or `0x` and hexadecimal digits.
fn number_length(bytes: &[u8]) -> usize {
    if let [b'0', b'x' | b'X', digits @ ..] = bytes {
        let digits = leading(digits, u8::is_ascii_hexdigit);
        if digits > 0 {
            return 2 + digits;
        }
    }
    leading(bytes, u8::is_ascii_digit)
}

/// Two, three or four numbers with dots between.
fn dotted_length(bytes: &[u8]) -> usize {
    let mut end = number_length(bytes);
    if end == 0 {
        return 0;
    }
    let mut groups = 1;
    while groups < 4 && bytes.get(end) == Some(&b'.') {
        match number_length(&bytes[end + 1..]) {
            0 => break,
            more => end += 1 + more,
        }
        groups += 1;
    }
    if groups > 1 { end } else { 0 }
}

/// Six groups of one or two hexadecimal digits with `:`, `-` or `.`, three groups of four with
/// `.`, or twelve digits.
fn mac_length(bytes: &[u8]) -> usize {
    let separated = [b':', b'-', b'.'].map(|separator| groups(bytes, 6, 1..=2, Some(separator)));
    let [colons, dashes, dots] = separated;
    colons.max(dashes).max(dots).max(groups(bytes, 3, 4..=4, Some(b'.'))).max(groups(
        bytes,
        3,
        4..=4,
        None,
    ))
}

/// The length of `count` groups of hexadecimal digits, or 0.
fn groups(
    bytes: &[u8],
    count: usize,
    digits: std::ops::RangeInclusive<usize>,
    separator: Option<u8>,
) -> usize {
    let mut end = 0;
    for group in 0..count {
        if let (Some(separator), true) = (separator, group > 0) {
            if bytes.get(end) != Some(&separator) {
                return 0;
            }
            end += 1;
        }
        let found = leading(&bytes[end..], u8::is_ascii_hexdigit).min(*digits.end());
        if found < *digits.start() {
            return 0;
        }
        end += found;
    }
    end
}

/// `1:2:3:`: groups of one or two digits, each followed by colons, at least two of them.
fn broken_mac_length(bytes: &[u8]) -> usize {
    let mut end = 0;
    let mut count = 0;
    loop {
        let digits = leading(&bytes[end..], u8::is_ascii_hexdigit).min(2);
        let colons = leading(&bytes[end + digits..], |b| *b == b':');
        if digits == 0 || colons == 0 {
            break;
        }
        end += digits + colons;
        count += 1;
    }
    if count >= 2 { end } else { 0 }
}

fn mac_address(text: &str) -> [u8; 6] {
    let mut address = [0; 6];
    let separator = [':', '-', '.'].into_iter().find(|s| text.contains(*s));
    let parts: Vec<&str> = match separator {
        Some(separator) if text.split(separator).count() == 6 => text.split(separator).collect(),
        _ => {
            let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            for (at, byte) in address.iter_mut().enumerate() {
                let pair = digits.get(2 * at..2 * at + 2).unwrap_or_default();
                *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
            }
            return address;
        }
    };
    for (byte, part) in address.iter_mut().zip(parts) {
        *byte = u8::from_str_radix(part, 16).unwrap_or_default();
    }
    address
}

/// The longest beginning of `bytes` that has the form of an IPv6 address.
fn v6_length(bytes: &[u8]) -> usize {
    let run = leading(bytes, |b| b.is_ascii_hexdigit() || b":.xX".contains(b)).min(LONGEST_V6);
    let candidate = &bytes[..run];
    let colons = candidate.iter().filter(|b| **b == b':').count();
    if colons < 6 && !candidate.windows(2).any(|pair| pair == b"::") {
        return 0;
    }
    (2..=run).rev().find(|length| is_v6_form(&candidate[..*length])).unwrap_or(0)
}

/// Whether `bytes` are groups of an IPv6 address, at most one gap, and a dotted end perhaps. The
/// values are not looked at.
fn is_v6_form(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (head, tail) = match text.split_once("::") {
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    };
    let last = tail.unwrap_or(head);
    let (last, quad) = match last.rsplit_once(':') {
        Some((rest, end)) if end.contains('.') => (rest, Some(end)),
        None if last.contains('.') => ("", Some(last)),
        _ => (last, None),
    };
    if quad.is_some_and(|quad| !is_quad(quad)) {
        return false;
    }
    let count = |part: &str| {
        if part.is_empty() {
            return Some(0);
        }
        let is_group =
            |g: &str| (1..=4).contains(&g.len()) && g.bytes().all(|b| b.is_ascii_hexdigit());
        part.split(':').all(is_group).then(|| part.split(':').count())
    };
    let quad_groups = if quad.is_some() { 2 } else { 0 };
    match tail {
        None => count(last).is_some_and(|n| n + quad_groups == 8 && n > 0),
        Some(_) => match (count(head), count(last)) {
            (Some(before), Some(after)) => before + after + quad_groups <= 7,
            _ => false,
        },
    }
}

fn is_quad(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && number_length(part.as_bytes()) == part.len();
    text.split('.').count() == 4 && text.split('.').all(is_number)
}

/// Why a text is no 32-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It has a character that is no digit of its base.
    NotANumber,
    /// It begins with 0 and has an 8 or 9.
    NotOctal,
    /// It is too large, in this base.
    Overflow(&'static str),
}

impl NumberError {
    /// The message for the number `text`.
    pub fn describe(self, text: &str) -> FilterError {
        FilterError::new(match self {
            NumberError::NotANumber => format!("number {text} contains non-digit"),
            NumberError::NotOctal => format!("number {text} contains non-octal digit"),
            NumberError::Overflow(base) => format!("{base} number {text} overflows 32 bits"),
        })
    }
}

/// Reads a number as C does: `0x` is hexadecimal, a leading 0 octal.
///
/// # Errors
/// See [`NumberError`].
pub fn parse_number(text: &str) -> Result<u32, NumberError> {
    let (digits, radix, base) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16, "hexadecimal"),
        [b'0', ..] => (text, 8, "octal"),
        _ => (text, 10, "decimal"),
    };
    let mut value: u32 = 0;
    for character in digits.chars() {
        let digit = character.to_digit(radix).ok_or(match radix {
            8 if character.is_ascii_digit() => NumberError::NotOctal,
            _ => NumberError::NotANumber,
        })?;
        let next = value.checked_mul(radix).and_then(|value| value.checked_add(digit));
        value = next.ok_or(NumberError::Overflow(base))?;
    }
    if digits.is_empty() { Err(NumberError::NotANumber) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Token<'_> {
        let mut lexer = Lexer::new(text);
        let token = lexer.token().unwrap();
        assert_eq!(lexer.token().unwrap(), Token::End, "{text}");
        token
    }

    #[test]
    fn the_longest_match_wins() {
        assert_eq!(one("tcp"), Token::Word(keyword("tcp").unwrap()));
        assert_eq!(one("tcp-syn"), Token::Number(2));
        assert_eq!(one("tcpx"), Token::Name("tcpx"));
        assert_eq!(one("\\tcp"), Token::Name("tcp"));
        assert_eq!(one("0x1F"), Token::Number(31));
        assert_eq!(one("1.2"), Token::Dotted("1.2"));
        assert_eq!(one("1.2.3.4"), Token::Dotted("1.2.3.4"));
        assert_eq!(one("1.2.3.4.in-addr.arpa"), Token::Name("1.2.3.4.in-addr.arpa"));
        assert_eq!(one("1.2.3.4.5"), Token::Name("1.2.3.4.5"));
        assert_eq!(one("1.2.3.4.5.6"), Token::Mac([1, 2, 3, 4, 5, 6]));
        assert_eq!(one("02aa.bbcc.0001"), Token::Mac([2, 0xaa, 0xbb, 0xcc, 0, 1]));
        assert_eq!(one("02aabbcc0001"), Token::Mac([2, 0xaa, 0xbb, 0xcc, 0, 1]));
        assert_eq!(one("a:b:c:d:e:f"), Token::Mac([10, 11, 12, 13, 14, 15]));
        assert_eq!(one("02-aa-bb-cc-00-01"), Token::Mac([2, 0xaa, 0xbb, 0xcc, 0, 1]));
        assert_eq!(one("::1"), Token::V6(Ipv6Addr::LOCALHOST, "::1"));
        assert!(matches!(one("1:2:3:4:5:6:7:8"), Token::V6(..)));
        assert!(matches!(one("fe80::7788:99ff:254.170.187.204"), Token::V6(..)));
        assert_eq!(one("$0e"), Token::Mac8(14));
        assert_eq!(one("!="), Token::Symbol("!="));
    }

    #[test]
    fn colons_of_a_data_size_are_no_address() {
        let mut lexer = Lexer::new("0:4]");
        assert_eq!(lexer.token().unwrap(), Token::Number(0));
        assert_eq!(lexer.token().unwrap(), Token::Symbol(":"));
        assert_eq!(lexer.token().unwrap(), Token::Number(4));
    }

    #[test]
    fn numbers_of_more_than_32_bits_are_named() {
        let message = |text| Lexer::new(text).token().unwrap_err().to_string();
        assert_eq!(message("0037777777779"), "number 0037777777779 contains non-octal digit");
        assert_eq!(message("4294967296"), "decimal number 4294967296 overflows 32 bits");
        assert_eq!(message("0X100000000"), "hexadecimal number 0X100000000 overflows 32 bits");
        assert_eq!(message("fe80::10.20.30.256"), "invalid IPv6 address fe80::10.20.30.256");
    }
}
