//! The tokenizer: SQL bytes to tokens that keep their byte offsets, so that an error can point at
//! the offending byte. The token classes and their spelling are SQLite's.

/// A keyword. [`keyword`] finds it by hash.
macro_rules! keywords {
    ($($name:ident $text:literal,)*) => {
        /// A keyword of SQLite's dialect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Kw { $($name,)* }
        const WORDS: &[(&[u8], Kw)] = &[$(($text, Kw::$name),)*];
    };
}

keywords! {
    Abort b"ABORT", Action b"ACTION", Add b"ADD", After b"AFTER", All b"ALL", Alter b"ALTER",
    Always b"ALWAYS", Analyze b"ANALYZE", And b"AND", As b"AS", Asc b"ASC", Attach b"ATTACH",
    Autoincrement b"AUTOINCREMENT", Before b"BEFORE", Begin b"BEGIN", Between b"BETWEEN",
    By b"BY", Cascade b"CASCADE", Case b"CASE", Cast b"CAST", Check b"CHECK", Collate b"COLLATE",
    Column b"COLUMN", Commit b"COMMIT", Conflict b"CONFLICT", Constraint b"CONSTRAINT",
    Create b"CREATE", Cross b"CROSS", Current b"CURRENT", CurrentDate b"CURRENT_DATE",
    CurrentTime b"CURRENT_TIME", CurrentTimestamp b"CURRENT_TIMESTAMP", Database b"DATABASE",
    Default b"DEFAULT", Deferrable b"DEFERRABLE", Deferred b"DEFERRED", Delete b"DELETE",
    Desc b"DESC", Detach b"DETACH", Distinct b"DISTINCT", Do b"DO", Drop b"DROP", Each b"EACH",
    Else b"ELSE", End b"END", Escape b"ESCAPE", Except b"EXCEPT", Exclude b"EXCLUDE",
    Exclusive b"EXCLUSIVE", Exists b"EXISTS", Explain b"EXPLAIN", Fail b"FAIL",
    Filter b"FILTER", First b"FIRST", Following b"FOLLOWING", For b"FOR", Foreign b"FOREIGN",
    From b"FROM", Full b"FULL", Generated b"GENERATED", Glob b"GLOB", Group b"GROUP",
    Groups b"GROUPS", Having b"HAVING", If b"IF", Ignore b"IGNORE", Immediate b"IMMEDIATE",
    In b"IN", Index b"INDEX", Indexed b"INDEXED", Initially b"INITIALLY", Inner b"INNER",
    Insert b"INSERT", Instead b"INSTEAD", Intersect b"INTERSECT", Into b"INTO", Is b"IS",
    Isnull b"ISNULL", Join b"JOIN", Key b"KEY", Last b"LAST", Left b"LEFT", Like b"LIKE",
    Limit b"LIMIT", Match b"MATCH", Materialized b"MATERIALIZED", Natural b"NATURAL", No b"NO",
    Not b"NOT", Nothing b"NOTHING", Notnull b"NOTNULL", Null b"NULL", Nulls b"NULLS", Of b"OF",
    Offset b"OFFSET", On b"ON", Or b"OR", Order b"ORDER", Others b"OTHERS", Outer b"OUTER",
    Over b"OVER", Partition b"PARTITION", Plan b"PLAN", Pragma b"PRAGMA",
    Preceding b"PRECEDING", Primary b"PRIMARY", Query b"QUERY", Raise b"RAISE", Range b"RANGE",
    Recursive b"RECURSIVE", References b"REFERENCES", Regexp b"REGEXP", Reindex b"REINDEX",
    Release b"RELEASE", Rename b"RENAME", Replace b"REPLACE", Restrict b"RESTRICT",
    Returning b"RETURNING", Right b"RIGHT", Rollback b"ROLLBACK", Row b"ROW", Rows b"ROWS",
    Savepoint b"SAVEPOINT", Select b"SELECT", Set b"SET", Table b"TABLE", Temp b"TEMP",
    Temporary b"TEMPORARY", Then b"THEN", Ties b"TIES", To b"TO", Transaction b"TRANSACTION",
    Trigger b"TRIGGER", Unbounded b"UNBOUNDED", Union b"UNION", Unique b"UNIQUE",
    Update b"UPDATE", Using b"USING", Vacuum b"VACUUM", Values b"VALUES", View b"VIEW",
    Virtual b"VIRTUAL", When b"WHEN", Where b"WHERE", Window b"WINDOW", With b"WITH",
    Without b"WITHOUT",
}

impl Kw {
    /// Whether the word is an identifier wherever the keyword itself cannot stand (the `%fallback`
    /// list of SQLite's grammar, with the three words its tokenizer treats by context).
    pub fn falls_back(self) -> bool {
        use Kw::*;
        !matches!(
            self,
            Add | All
                | Alter
                | And
                | As
                | Autoincrement
                | Between
                | Case
                | Check
                | Collate
                | Commit
                | Constraint
                | Create
                | Cross
                | Default
                | Deferrable
                | Delete
                | Distinct
                | Drop
                | Else
                | Escape
                | Except
                | Exists
                | Foreign
                | From
                | Full
                | Group
                | Having
                | In
                | Index
                | Indexed
                | Inner
                | Insert
                | Intersect
                | Into
                | Is
                | Isnull
                | Join
                | Left
                | Limit
                | Natural
                | Not
                | Nothing
                | Notnull
                | Null
                | On
                | Or
                | Order
                | Outer
                | Primary
                | References
                | Returning
                | Right
                | Select
                | Set
                | Table
                | Then
                | To
                | Transaction
                | Union
                | Unique
                | Update
                | Using
                | Values
                | When
                | Where
        )
    }

    /// `CROSS`, `FULL`, `INNER`, `LEFT`, `NATURAL`, `OUTER`, `RIGHT`: names too, but not aliases.
    pub fn is_join_word(self) -> bool {
        use Kw::*;
        matches!(self, Cross | Full | Inner | Left | Natural | Outer | Right)
    }
}

/// Looks a word up, in any case.
pub fn keyword(word: &[u8]) -> Option<Kw> {
    let (first, last) = (word.first()?, word.last()?);
    let mut at = BUCKETS.heads[bucket(*first, *last, word.len())];
    while let Some((text, kw)) = WORDS.get(at as usize) {
        if text.len() == word.len() && text.eq_ignore_ascii_case(word) {
            return Some(*kw);
        }
        at = BUCKETS.next[at as usize];
    }
    None
}

/// Words by the hash of their ends and length: chains of at most three, mostly of one.
struct Buckets {
    heads: [u8; BUCKET_COUNT],
    next: [u8; WORDS.len()],
}

const BUCKET_COUNT: usize = 256;
/// Past the last word.
const NO_WORD: u8 = u8::MAX;
static BUCKETS: Buckets = fill_buckets();

const fn bucket(first: u8, last: u8, len: usize) -> usize {
    let (first, last) = ((first & 0x1f) as usize, (last & 0x1f) as usize);
    (first * 15 + last * 62 + len * 11) % BUCKET_COUNT
}

const fn fill_buckets() -> Buckets {
    let mut buckets = Buckets { heads: [NO_WORD; BUCKET_COUNT], next: [NO_WORD; WORDS.len()] };
    let mut at = 0;
    while at < WORDS.len() {
        let word = WORDS[at].0;
        let head = bucket(word[0], word[word.len() - 1], word.len());
        buckets.next[at] = buckets.heads[head];
        buckets.heads[head] = at as u8;
        at += 1;
    }
    buckets
}

/// The class of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Tok {
    Kw(Kw),
    /// A bare or quoted name: `a`, `"a"`, `[a]`, `` `a` ``.
    Id,
    /// `'text'`
    Str,
    /// `x'00ff'`
    Blob,
    Int,
    Float,
    /// `?`, `?1`, `:a`, `@a`, `$a`
    Var,
    Semi,
    LParen,
    RParen,
    Comma,
    Dot,
    Star,
    Plus,
    Minus,
    Slash,
    Percent,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Shl,
    Shr,
    BitAnd,
    BitOr,
    BitNot,
    Concat,
    /// `->` and `->>`
    Arrow,
    /// No token can start so.
    Illegal,
    End,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// Its class.
    pub tok: Tok,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// Whether a byte may stand inside a bare name.
#[inline]
pub fn is_name_byte(byte: u8) -> bool {
    NAME_BYTES[byte as usize]
}

static NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80;
        byte += 1;
    }
    table
};

/// The token that starts at or behind `at`, white space and comments skipped.
pub fn next(sql: &[u8], mut at: usize) -> Token {
    let byte = |i: usize| sql.get(i).copied().unwrap_or(0);
    loop {
        let space = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r');
        while at < sql.len() && space(byte(at)) {
            at += 1;
        }
        if byte(at) == b'-' && byte(at + 1) == b'-' {
            at += memchr::memchr(b'\n', &sql[at..]).unwrap_or(sql.len() - at);
        } else if byte(at) == b'/' && byte(at + 1) == b'*' && at + 2 < sql.len() {
            at += memchr::memmem::find(&sql[at + 2..], b"*/").map_or(sql.len() - at, |n| n + 4);
        } else {
            break;
        }
    }
    let start = at;
    let token = |tok, end: usize| Token { tok, start, end: end.min(sql.len()) };
    if at >= sql.len() {
        return token(Tok::End, at);
    }
    match byte(at) {
        0 => token(Tok::End, at),
        b';' => token(Tok::Semi, at + 1),
        b'(' => token(Tok::LParen, at + 1),
        b')' => token(Tok::RParen, at + 1),
        b',' => token(Tok::Comma, at + 1),
        b'*' => token(Tok::Star, at + 1),
        b'+' => token(Tok::Plus, at + 1),
        b'-' if byte(at + 1) == b'>' => {
            token(Tok::Arrow, at + if byte(at + 2) == b'>' { 3 } else { 2 })
        }
        b'-' => token(Tok::Minus, at + 1),
        b'/' => token(Tok::Slash, at + 1),
        b'%' => token(Tok::Percent, at + 1),
        b'=' => token(Tok::Eq, at + 1 + usize::from(byte(at + 1) == b'=')),
        b'<' => match byte(at + 1) {
            b'=' => token(Tok::Le, at + 2),
            b'>' => token(Tok::Ne, at + 2),
            b'<' => token(Tok::Shl, at + 2),
            _ => token(Tok::Lt, at + 1),
        },
        b'>' => match byte(at + 1) {
            b'=' => token(Tok::Ge, at + 2),
            b'>' => token(Tok::Shr, at + 2),
            _ => token(Tok::Gt, at + 1),
        },
        b'!' if byte(at + 1) == b'=' => token(Tok::Ne, at + 2),
        b'|' if byte(at + 1) == b'|' => token(Tok::Concat, at + 2),
        b'|' => token(Tok::BitOr, at + 1),
        b'&' => token(Tok::BitAnd, at + 1),
        b'~' => token(Tok::BitNot, at + 1),
        quote @ (b'\'' | b'"' | b'`') => {
            let tok = if quote == b'\'' { Tok::Str } else { Tok::Id };
            quoted(sql, at, quote).map_or(token(Tok::Illegal, sql.len()), |end| token(tok, end))
        }
        b'[' => match memchr::memchr(b']', &sql[at..]) {
            Some(n) => token(Tok::Id, at + n + 1),
            None => token(Tok::Illegal, sql.len()),
        },
        b'.' if !byte(at + 1).is_ascii_digit() => token(Tok::Dot, at + 1),
        b'.' | b'0'..=b'9' => number(sql, at),
        b'?' => token(Tok::Var, run(sql, at + 1, |b| b.is_ascii_digit())),
        b'@' | b':' | b'#' | b'$' => {
            let end = run(sql, at + 1, is_name_byte);
            token(if end == at + 1 { Tok::Illegal } else { Tok::Var }, end)
        }
        b'x' | b'X' if byte(at + 1) == b'\'' => {
            let end = run(sql, at + 2, |b| b.is_ascii_hexdigit());
            if byte(end) == b'\'' && (end - at).is_multiple_of(2) {
                return token(Tok::Blob, end + 1);
            }
            let end = run(sql, end, |b| b != b'\'');
            token(Tok::Illegal, end + 1)
        }
        b if is_name_byte(b) => {
            let end = run(sql, at, is_name_byte);
            token(keyword(&sql[at..end]).map_or(Tok::Id, Tok::Kw), end)
        }
        _ => token(Tok::Illegal, at + 1),
    }
}

#[inline]
fn run(sql: &[u8], from: usize, holds: impl Fn(u8) -> bool) -> usize {
    let rest = sql.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !holds(*b)).unwrap_or(rest.len())
}

/// The end of a quoted token whose quote is doubled inside.
fn quoted(sql: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr(quote, sql.get(at..)?)? + 1;
        if sql.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

fn number(sql: &[u8], start: usize) -> Token {
    let byte = |i: usize| sql.get(i).copied().unwrap_or(0);
    let digits = |i| run(sql, i, |b| b.is_ascii_digit());
    let mut tok = Tok::Int;
    let mut end = if byte(start) == b'0'
        && matches!(byte(start + 1), b'x' | b'X')
        && byte(start + 2).is_ascii_hexdigit()
    {
        run(sql, start + 2, |b| b.is_ascii_hexdigit())
    } else {
        let mut end = digits(start);
        if byte(end) == b'.' {
            tok = Tok::Float;
            end = digits(end + 1);
        }
        let sign = usize::from(matches!(byte(end + 1), b'+' | b'-'));
        if matches!(byte(end), b'e' | b'E') && byte(end + 1 + sign).is_ascii_digit() {
            tok = Tok::Float;
            end = digits(end + 1 + sign);
        }
        end
    };
    if is_name_byte(byte(end)) && end < sql.len() {
        tok = Tok::Illegal;
        end = run(sql, end, is_name_byte);
    }
    Token { tok, start, end }
}

/// Whether `sql` ends a statement: its last token is a semicolon that is not inside a trigger.
/// This is what the shell asks before it runs what it has read so far.
pub fn complete(sql: &[u8]) -> bool {
    // The states of sqlite3_complete(): the three words CREATE [TEMP] TRIGGER open a body that only
    // `;END;` closes.
    #[derive(PartialEq)]
    enum State {
        Invalid,
        Start,
        Normal,
        Explain,
        Create,
        Trigger,
        Semi,
        End,
    }
    if is_plain_statement(sql) {
        return true;
    }
    let mut state = State::Invalid;
    let mut at = 0;
    loop {
        let token = next(sql, at);
        at = token.end;
        let open = token.tok == Tok::Illegal && token.end >= sql.len();
        state = match (state, token.tok) {
            (state, Tok::End) => {
                return state == State::Start && !unclosed_comment(sql, token.start);
            }
            (_, Tok::Illegal) if open => State::Normal,
            (State::Semi, Tok::Kw(Kw::End)) => State::End,
            (State::End, Tok::Semi) => State::Start,
            (State::Trigger | State::Semi, Tok::Semi) => State::Semi,
            (State::Trigger | State::Semi | State::End, _) => State::Trigger,
            (_, Tok::Semi) => State::Start,
            (State::Invalid | State::Start, Tok::Kw(Kw::Explain)) => State::Explain,
            (State::Invalid | State::Start | State::Explain, Tok::Kw(Kw::Create)) => State::Create,
            (State::Explain, Tok::Kw(Kw::Query | Kw::Plan)) => State::Explain,
            (State::Create, Tok::Kw(Kw::Temp | Kw::Temporary)) => State::Create,
            (State::Create, Tok::Kw(Kw::Trigger)) => State::Trigger,
            _ => State::Normal,
        };
    }
}

/// Whether the text is seen at a glance to be one statement and its semicolon: the only one, behind
/// closed quotes, without comments, and not of the kind that has statements inside.
fn is_plain_statement(sql: &[u8]) -> bool {
    let Some(body) = sql.trim_ascii().strip_suffix(b";") else { return false };
    let word = body.get(..6).unwrap_or_default();
    let first = [&b"INSERT"[..], b"SELECT", b"UPDATE", b"DELETE"];
    let mut quotes = 0;
    first.iter().any(|known| word.eq_ignore_ascii_case(known))
        && body.iter().zip(body.iter().skip(1).chain(b" ")).all(|(byte, after)| {
            quotes += u32::from(*byte == b'\'');
            match byte {
                b';' | b'"' | b'`' | b'[' | 0 => false,
                b'-' => *after != b'-',
                b'/' => *after != b'*',
                _ => true,
            }
        })
        && quotes % 2 == 0
}

/// Whether the text between `from` and the end is an opened comment.
fn unclosed_comment(sql: &[u8], _end: usize) -> bool {
    let mut at = 0;
    loop {
        let token = next(sql, at);
        if token.tok == Tok::End {
            let rest = sql.get(at..).unwrap_or_default();
            return memchr::memmem::rfind(rest, b"/*").is_some_and(|open| {
                let line = memchr::memrchr(b'\n', &rest[..open]).map_or(0, |n| n + 1);
                memchr::memmem::find(&rest[line..open], b"--").is_none()
                    && memchr::memmem::find(&rest[open + 2..], b"*/").is_none()
            });
        }
        at = token.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toks(sql: &str) -> Vec<Tok> {
        let mut at = 0;
        std::iter::from_fn(|| {
            let token = next(sql.as_bytes(), at);
            at = token.end;
            (token.tok != Tok::End).then_some(token.tok)
        })
        .collect()
    }

    #[test]
    fn every_word_is_found_in_any_case() {
        assert!(WORDS.iter().all(|(text, kw)| keyword(&text.to_ascii_lowercase()) == Some(*kw)));
        assert_eq!([keyword(b""), keyword(b"selec"), keyword(b"selectx")], [None; 3]);
    }

    #[test]
    fn numbers_names_and_strings() {
        use Tok::*;
        assert_eq!(toks("1 .5 1e3 0x1F 1.e-2"), [Int, Float, Float, Int, Float]);
        assert_eq!(toks("a \"b\"\"c\" [d] `e` 'f''g' x'00'"), [Id, Id, Id, Id, Str, Blob]);
        assert_eq!(toks("1a x'0' 'open"), [Illegal, Illegal, Illegal]);
        assert_eq!(toks("-- c\n/* d */ a->>'b'"), [Id, Arrow, Str]);
    }

    #[test]
    fn a_statement_is_complete_at_its_semicolon() {
        assert!(complete(b"select 1;"));
        assert!(!complete(b"select 1"));
        assert!(!complete(b"select ';"));
        assert!(!complete(b"create trigger a begin select 1;"));
        assert!(complete(b"create trigger a begin select 1; end;"));
        assert!(!complete(b"select 1; /* x"));
    }
}
