//! Tokens to steps.
//!
//! The grammar is pcap-filter(7)'s, with the habits of the incumbent's LALR(1) tables:
//! - `and` and `or` have one precedence and group from the left; `not` binds tighter.
//! - An identifier without qualifiers takes those of the identifier before it, across one `and` or
//!   `or` (`tcp port 80 or 443`) and into parentheses, never out of them.
//! - `%` and `^` have no precedence, which makes them swallow everything to their right:
//!   `7 % 4 + 1` is `7 % (4 + 1)`, and `1 + 7 % 4` is what it looks like.
//! - Whether `(` begins numbers, identifiers or an expression is only known further on, so
//!   `Parser::operand` returns what it found and the caller decides whether that fits.

mod fields;

use super::FilterError;
use super::keyword::Keyword as K;
use super::lex::{Lexer, Token};
use super::program::op;
use super::syntax::{Dir, Id, Kind, Pf, Proto, Qualifiers, Relation, Step};

/// How deep parentheses, brackets, `not` and `-` may nest.
pub const MAX_DEPTH: usize = 500;

/// What an operand turned out to be.
enum Operand {
    /// A number, of which no step has been made yet: it may be a value or an identifier.
    Number(u32),
    /// A value.
    Value,
    /// A condition made of identifiers. `plain`: it may begin a list in parentheses.
    Id { plain: bool },
    /// A condition that needs no qualifiers from outside, and those it leaves to its right.
    Term(Option<Qualifiers>),
}

type Parsed<T> = Result<T, FilterError>;

/// Turns an expression into steps; an empty one has none.
///
/// # Errors
/// The text is no expression.
pub fn parse(text: &str) -> Parsed<Vec<Step>> {
    let mut lexer = Lexer::new(text);
    let token = lexer.token()?;
    let mut parser = Parser { lexer, token, steps: Vec::new(), depth: 0 };
    if parser.token == Token::End {
        return Ok(parser.steps);
    }
    let first = parser.operand(None, false)?;
    let Operand::Term(qualifiers) = first else { return Err(FilterError::syntax()) };
    parser.expression(qualifiers)?;
    if parser.token != Token::End {
        return Err(FilterError::syntax());
    }
    Ok(parser.steps)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    steps: Vec<Step>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Parsed<Token<'a>> {
        let next = self.lexer.token()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn at_word(&self, word: K) -> bool {
        self.token == Token::Word(word)
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(at) if at == symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> Parsed<bool> {
        let found = self.at_symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_symbol(&mut self, symbol: &str) -> Parsed<()> {
        if self.take_symbol(symbol)? { Ok(()) } else { Err(FilterError::syntax()) }
    }

    fn expect_number(&mut self) -> Parsed<u32> {
        match self.advance()? {
            Token::Number(number) => Ok(number),
            _ => Err(FilterError::syntax()),
        }
    }

    fn expect_name(&mut self) -> Parsed<&'a str> {
        match self.advance()? {
            Token::Name(name) => Ok(name),
            _ => Err(FilterError::syntax()),
        }
    }

    /// Counts one level of nesting for the length of `inner`.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DEPTH {
            return Err(FilterError::new("can't parse filter expression: memory exhausted"));
        }
        self.depth += 1;
        let parsed = inner(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    /// `and` or `or`, if one is next.
    fn connective(&mut self) -> Parsed<Option<Step>> {
        let step = match self.token {
            Token::Word(K::And) => Step::And,
            Token::Word(K::Or) => Step::Or,
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some(step))
    }

    /// The rest of an expression whose first term has been parsed.
    fn expression(&mut self, mut qualifiers: Option<Qualifiers>) -> Parsed<()> {
        while let Some(connective) = self.connective()? {
            match self.operand(qualifiers, true)? {
                Operand::Number(number) => {
                    self.steps.push(Step::Id(Id::Number(number), qualifiers));
                }
                Operand::Id { .. } => {}
                Operand::Term(left) => qualifiers = left,
                Operand::Value => return Err(FilterError::syntax()),
            }
            self.steps.push(connective);
        }
        Ok(())
    }

    /// A term, or where `ids` an identifier under `qualifiers`, or a value that is not yet part of
    /// a comparison (which only parentheses can go on with).
    fn operand(&mut self, qualifiers: Option<Qualifiers>, ids: bool) -> Parsed<Operand> {
        let left = self.primary(qualifiers, ids)?;
        if !matches!(left, Operand::Number(_) | Operand::Value) {
            return Ok(left);
        }
        if let Operand::Number(number) = left {
            if binary_operator(&self.token).is_none() && relation(&self.token).is_none() {
                return Ok(left);
            }
            self.steps.push(Step::Number(number));
        }
        self.binary(0)?;
        let Some(relation) = relation(&self.token) else { return Ok(Operand::Value) };
        self.advance()?;
        self.value(0)?;
        self.steps.push(Step::Compare(relation));
        Ok(Operand::Term(None))
    }

    fn primary(&mut self, qualifiers: Option<Qualifiers>, ids: bool) -> Parsed<Operand> {
        match self.token {
            Token::Word(K::Not) => self.negation(qualifiers, ids),
            Token::Symbol("(") => {
                self.advance()?;
                self.nested(|parser| parser.parenthesis(qualifiers, ids))
            }
            Token::Symbol("-") => {
                self.unary_minus()?;
                Ok(Operand::Value)
            }
            Token::Number(number) => {
                self.advance()?;
                Ok(Operand::Number(number))
            }
            Token::Word(word) => self.word(word),
            _ if ids => {
                let id = self.identifier()?;
                self.steps.push(Step::Id(id, qualifiers));
                Ok(Operand::Id { plain: true })
            }
            _ => Err(FilterError::syntax()),
        }
    }

    fn negation(&mut self, qualifiers: Option<Qualifiers>, ids: bool) -> Parsed<Operand> {
        self.advance()?;
        let operand = self.nested(|parser| parser.operand(qualifiers, ids))?;
        let negated = match operand {
            Operand::Number(number) if ids => {
                self.steps.push(Step::Id(Id::Number(number), qualifiers));
                Operand::Id { plain: true }
            }
            Operand::Id { .. } => Operand::Id { plain: true },
            Operand::Term(left) => Operand::Term(left),
            Operand::Number(_) | Operand::Value => return Err(FilterError::syntax()),
        };
        self.steps.push(Step::Not);
        Ok(negated)
    }

    /// What is between parentheses, up to and with the closing one.
    fn parenthesis(&mut self, qualifiers: Option<Qualifiers>, ids: bool) -> Parsed<Operand> {
        let first = self.operand(qualifiers, ids)?;
        let whole = match first {
            Operand::Value => Operand::Value,
            Operand::Number(number) if self.at_symbol(")") => Operand::Number(number),
            Operand::Number(number) if ids => {
                self.steps.push(Step::Id(Id::Number(number), qualifiers));
                self.identifiers(qualifiers)?;
                Operand::Id { plain: false }
            }
            Operand::Id { plain: true } => {
                self.identifiers(qualifiers)?;
                Operand::Id { plain: false }
            }
            Operand::Term(left) => {
                self.expression(left)?;
                Operand::Term(qualifiers)
            }
            Operand::Number(_) | Operand::Id { .. } => return Err(FilterError::syntax()),
        };
        self.expect_symbol(")")?;
        Ok(whole)
    }

    /// The rest of a list of identifiers in parentheses.
    fn identifiers(&mut self, qualifiers: Option<Qualifiers>) -> Parsed<()> {
        while let Some(connective) = self.connective()? {
            self.qualified(qualifiers)?;
            self.steps.push(connective);
        }
        Ok(())
    }

    /// One identifier, negated identifier or list of them; nothing else may be here.
    fn qualified(&mut self, qualifiers: Option<Qualifiers>) -> Parsed<()> {
        match self.token {
            Token::Word(K::Not) => {
                self.advance()?;
                self.nested(|parser| parser.qualified(qualifiers))?;
                self.steps.push(Step::Not);
                Ok(())
            }
            Token::Symbol("(") => {
                self.advance()?;
                self.nested(|parser| parser.qualified_list(qualifiers))
            }
            _ => {
                let id = self.identifier()?;
                self.steps.push(Step::Id(id, qualifiers));
                Ok(())
            }
        }
    }

    fn qualified_list(&mut self, qualifiers: Option<Qualifiers>) -> Parsed<()> {
        if self.at_symbol("(") {
            // Only a number may be wrapped twice at the beginning of a list.
            let number = self.wrapped_number()?;
            self.steps.push(Step::Id(Id::Number(number), qualifiers));
        } else {
            self.qualified(qualifiers)?;
        }
        self.identifiers(qualifiers)?;
        self.expect_symbol(")")
    }

    /// A number in any number of parentheses.
    fn wrapped_number(&mut self) -> Parsed<u32> {
        if !self.take_symbol("(")? {
            return self.expect_number();
        }
        let number = self.nested(Self::wrapped_number)?;
        self.expect_symbol(")")?;
        Ok(number)
    }

    /// A number after `vlan` and its kind, if there is one.
    fn optional_number(&mut self) -> Parsed<Option<u32>> {
        if self.at_symbol("(") || matches!(self.token, Token::Number(_)) {
            return self.wrapped_number().map(Some);
        }
        Ok(None)
    }

    fn identifier(&mut self) -> Parsed<Id> {
        Ok(match self.advance()? {
            Token::Name(name) => Id::Name(name.to_owned()),
            Token::Number(number) => Id::Number(number),
            Token::Mac(address) => Id::Mac(address),
            Token::Mac8(address) => Id::Mac8(address),
            Token::Dotted(dotted) => {
                if self.take_symbol("/")? {
                    Id::DottedPrefix(dotted.to_owned(), self.expect_number()?)
                } else if self.at_word(K::Mask) {
                    self.advance()?;
                    let Token::Dotted(mask) = self.advance()? else {
                        return Err(FilterError::syntax());
                    };
                    Id::DottedMask(dotted.to_owned(), mask.to_owned())
                } else {
                    Id::Dotted(dotted.to_owned())
                }
            }
            Token::V6(address, text) => {
                let bits = if self.take_symbol("/")? { Some(self.expect_number()?) } else { None };
                Id::V6(address, text.to_owned(), bits)
            }
            _ => return Err(FilterError::syntax()),
        })
    }

    /// A term or value that begins with a reserved word.
    fn word(&mut self, word: K) -> Parsed<Operand> {
        if let K::Proto(proto) = word {
            self.advance()?;
            return self.after_protocol(proto);
        }
        if is_qualifier(word) {
            return self.qualified_term(None);
        }
        self.advance()?;
        let step = match word {
            K::Len => {
                self.steps.push(Step::Length);
                return Ok(Operand::Value);
            }
            K::Broadcast => Step::Broadcast(None),
            K::Multicast => Step::Multicast(None),
            K::Less => Step::Less(self.expect_number()?),
            K::Greater => Step::Greater(self.expect_number()?),
            K::Byte => self.byte()?,
            K::Inbound => Step::Direction { outbound: false },
            K::Outbound => Step::Direction { outbound: true },
            K::IfIndex => Step::IfIndex(self.expect_number()?),
            K::Vlan => Step::Vlan(self.optional_number()?),
            K::Mpls => Step::Mpls(self.optional_number()?),
            K::Pppoed => Step::Pppoed,
            K::Pppoes => Step::Pppoes(self.optional_number()?),
            K::Geneve => Step::Geneve(self.optional_number()?),
            K::Vxlan => Step::Vxlan(self.optional_number()?),
            K::Type => self.wlan_type()?,
            K::Subtype => self.wlan_subtype()?,
            K::Direction => self.wlan_direction()?,
            K::Llc => self.llc()?,
            K::AtmType(atm) => Step::AtmType(atm),
            K::AtmField(field) => {
                return self.field(|relation, value| Step::AtmField(field, relation, value));
            }
            K::Ss7Type(ss7) => Step::Ss7Type(ss7),
            K::Ss7Field(field) => {
                return self.field(|relation, value| Step::Ss7Field(field, relation, value));
            }
            K::PfInterface => Step::Pf(Pf::Interface(self.expect_name()?.to_owned())),
            K::PfRuleset => Step::Pf(Pf::Ruleset(self.expect_name()?.to_owned())),
            K::PfRule => Step::Pf(Pf::Rule(self.expect_number()?)),
            K::PfSubrule => Step::Pf(Pf::Subrule(self.expect_number()?)),
            K::PfReason => self.pf_reason()?,
            K::PfAction => self.pf_action()?,
            _ => return Err(FilterError::syntax()),
        };
        self.steps.push(step);
        Ok(Operand::Term(None))
    }

    /// What follows a protocol name: an index, more qualifiers, a property, or nothing.
    fn after_protocol(&mut self, proto: Proto) -> Parsed<Operand> {
        if self.at_symbol("[") {
            self.index(proto)?;
            return Ok(Operand::Value);
        }
        let step = match self.token {
            Token::Word(word) if is_qualifier(word) => return self.qualified_term(Some(proto)),
            Token::Word(K::Broadcast) => Step::Broadcast(Some(proto)),
            Token::Word(K::Multicast) => Step::Multicast(Some(proto)),
            Token::Word(K::Type | K::Subtype | K::Direction) => {
                let step = match self.advance()? {
                    Token::Word(K::Type) => self.wlan_type()?,
                    Token::Word(K::Subtype) => self.wlan_subtype()?,
                    _ => self.wlan_direction()?,
                };
                self.steps.push(step);
                return Ok(Operand::Term(None));
            }
            _ => {
                self.steps.push(Step::Abbreviation(proto));
                return Ok(Operand::Term(None));
            }
        };
        self.advance()?;
        self.steps.push(step);
        Ok(Operand::Term(None))
    }

    /// Direction and type qualifiers and the identifier that they qualify.
    fn qualified_term(&mut self, proto: Option<Proto>) -> Parsed<Operand> {
        let dir = self.direction()?;
        let kind = self.kind(dir.is_some())?;
        let qualifiers = Some(Qualifiers { proto, dir, kind });
        self.qualified(qualifiers)?;
        Ok(Operand::Term(qualifiers))
    }

    fn direction(&mut self) -> Parsed<Option<Dir>> {
        let (one, other) = match self.token {
            Token::Word(K::Src) => (Dir::Src, K::Dst),
            Token::Word(K::Dst) => (Dir::Dst, K::Src),
            Token::Word(K::WlanAddress(dir)) => {
                self.advance()?;
                return Ok(Some(dir));
            }
            _ => return Ok(None),
        };
        self.advance()?;
        let both = match self.token {
            Token::Word(K::Or) => Dir::SrcOrDst,
            Token::Word(K::And) => Dir::SrcAndDst,
            _ => return Ok(Some(one)),
        };
        self.advance()?;
        if self.advance()? == Token::Word(other) {
            Ok(Some(both))
        } else {
            Err(FilterError::syntax())
        }
    }

    /// The type qualifier. `gateway`, `proto` and `protochain` have no direction.
    fn kind(&mut self, directed: bool) -> Parsed<Option<Kind>> {
        let kind = match self.token {
            Token::Word(K::Host) => Kind::Host,
            Token::Word(K::Net) => Kind::Net,
            Token::Word(K::Port) => Kind::Port,
            Token::Word(K::PortRange) => Kind::PortRange,
            Token::Word(K::Gateway) if !directed => Kind::Gateway,
            Token::Word(K::ProtoKind) if !directed => Kind::Proto,
            Token::Word(K::ProtoChain) if !directed => Kind::ProtoChain,
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some(kind))
    }

    /// `PROTO [ VALUE : SIZE ]`, the protocol being read.
    fn index(&mut self, proto: Proto) -> Parsed<()> {
        self.advance()?;
        self.nested(|parser| parser.value(0))?;
        let size = if self.take_symbol(":")? { self.expect_number()? } else { 1 };
        self.expect_symbol("]")?;
        self.steps.push(Step::Load(proto, size));
        Ok(())
    }

    /// A value; operators that bind less tightly than `minimum` are left.
    fn value(&mut self, minimum: u8) -> Parsed<()> {
        match self.token {
            Token::Number(number) => {
                self.advance()?;
                self.steps.push(Step::Number(number));
            }
            Token::Symbol("-") => self.unary_minus()?,
            Token::Symbol("(") => {
                self.advance()?;
                self.nested(|parser| parser.value(0))?;
                self.expect_symbol(")")?;
            }
            Token::Word(K::Len) => {
                self.advance()?;
                self.steps.push(Step::Length);
            }
            Token::Word(K::Proto(proto)) => {
                self.advance()?;
                if !self.at_symbol("[") {
                    return Err(FilterError::syntax());
                }
                self.index(proto)?;
            }
            _ => return Err(FilterError::syntax()),
        }
        self.binary(minimum)
    }

    /// The rest of a value whose left operand has been read.
    fn binary(&mut self, minimum: u8) -> Parsed<()> {
        while let Some((operation, precedence)) = binary_operator(&self.token) {
            let right = match precedence {
                None => 0,
                Some(precedence) if precedence < minimum => break,
                Some(precedence) => precedence + 1,
            };
            self.advance()?;
            self.nested(|parser| parser.value(right))?;
            self.steps.push(Step::Compute(operation));
        }
        Ok(())
    }

    fn unary_minus(&mut self) -> Parsed<()> {
        self.advance()?;
        self.nested(|parser| parser.value(TIGHTEST))?;
        self.steps.push(Step::Negate);
        Ok(())
    }
}

/// Words that can begin the qualifiers of an identifier, after the protocol.
fn is_qualifier(word: K) -> bool {
    matches!(
        word,
        K::Src
            | K::Dst
            | K::WlanAddress(_)
            | K::Host
            | K::Net
            | K::Port
            | K::PortRange
            | K::ProtoKind
            | K::ProtoChain
            | K::Gateway
    )
}

/// Tighter than any binary operator.
const TIGHTEST: u8 = 10;

/// An arithmetic operator: its operation, and its precedence unless it has none.
fn binary_operator(token: &Token<'_>) -> Option<(u16, Option<u8>)> {
    let Token::Symbol(symbol) = token else { return None };
    Some(match *symbol {
        "|" => (op::OR, Some(1)),
        "&" => (op::AND, Some(2)),
        "<<" => (op::LSH, Some(3)),
        ">>" => (op::RSH, Some(3)),
        "+" => (op::ADD, Some(4)),
        "-" => (op::SUB, Some(4)),
        "*" => (op::MUL, Some(5)),
        "/" => (op::DIV, Some(5)),
        "%" => (op::MOD, None),
        "^" => (op::XOR, None),
        _ => return None,
    })
}

fn relation(token: &Token<'_>) -> Option<Relation> {
    let Token::Symbol(symbol) = token else { return None };
    let (jump, negated) = match *symbol {
        "=" => (op::JEQ, false),
        ">" => (op::JGT, false),
        ">=" => (op::JGE, false),
        "!=" => (op::JEQ, true),
        "<=" => (op::JGT, true),
        "<" => (op::JGE, true),
        _ => return None,
    };
    Some(Relation { jump, negated })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn identifiers_take_the_qualifiers_before_them() {
        let steps = parse("tcp port 80 or 443").unwrap();
        let qualifiers =
            Some(Qualifiers { proto: Some(Proto::Tcp), dir: None, kind: Some(Kind::Port) });
        assert_eq!(
            steps,
            [Step::Id(Id::Number(80), qualifiers), Step::Id(Id::Number(443), qualifiers), Step::Or]
        );
        assert_eq!(steps, parse("tcp port (80 or 443)").unwrap());
        assert_eq!(parse("(tcp port 80) or 443").unwrap()[1], Step::Id(Id::Number(443), None));
    }

    #[test]
    fn operators_without_precedence_swallow_what_follows() {
        let steps = |text| parse(text).unwrap();
        assert_eq!(steps("7 % 4 + 1 = 2"), steps("7 % (4 + 1) = 2"));
        assert_eq!(steps("1 + 7 % 4 = 2"), steps("1 + (7 % 4) = 2"));
        assert_eq!(steps("1 + 2 * 3 - 4 = 2"), steps("(1 + (2 * 3)) - 4 = 2"));
        assert_eq!(steps("-1 + 2 = 1"), steps("(-1) + 2 = 1"));
    }

    #[test]
    fn what_is_no_expression_is_a_syntax_error() {
        for text in [
            "ip port",
            "host",
            "and",
            "tcp and",
            "or udp",
            "not",
            "(tcp",
            "tcp)",
            "tcp udp",
            "5",
            "len >",
            "1.2.3.4",
            "(80)",
            "tcp[",
            "tcp[0",
            "ip[0] =",
            "ip[0] = = 1",
            ";",
            "\"tcp\"",
            "dst gateway x",
            "src proto 1",
            "pppoed 1",
            "host ((a))",
            "host (a or tcp)",
        ] {
            assert_eq!(refused(text), "can't parse filter expression: syntax error", "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}tcp{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(refused(&deep), "can't parse filter expression: memory exhausted");
        assert!(parse(&"not ".repeat(100_000)).is_err());
        assert!(parse(&format!("{}1 = 1", "-".repeat(100_000))).is_err());
        assert!(parse(&format!("1{} = 1", "%1".repeat(100_000))).is_err());
        assert!(parse(&format!("1{} = 1", "+1".repeat(100_000))).is_ok());
        assert!(parse(&format!("tcp{}", " or tcp".repeat(100_000))).is_ok());
    }
}
