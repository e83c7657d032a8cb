//! LOLWUT: a drawing. Squares in rows that fall into disorder towards the bottom, after Georg Nees'
//! "Schotter" of 1968, in Braille dots.

use box_wire::resp::Args;

use super::{Ctx, Done, is, parse};
use crate::store::rng;

const COLUMNS: usize = 66;
const PER_ROW: usize = 8;
const ROWS: usize = 12;

/// Dots of two columns and four rows a character.
struct Canvas {
    width: usize,
    dots: Vec<bool>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, dots: vec![false; width * height] }
    }

    fn set(&mut self, x: f64, y: f64) {
        let (x, y) = (x.round(), y.round());
        if x >= 0.0 && y >= 0.0 && (x as usize) < self.width {
            let at = y as usize * self.width + x as usize;
            if let Some(dot) = self.dots.get_mut(at) {
                *dot = true;
            }
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let share = step as f64 / steps;
            self.set(from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
        }
    }

    fn square(&mut self, x: f64, y: f64, size: f64, angle: f64) {
        let corner = |number: u32| {
            let turn = angle
                + std::f64::consts::FRAC_PI_4
                + f64::from(number) * std::f64::consts::FRAC_PI_2;
            let reach = size / std::f64::consts::SQRT_2;
            (x + turn.sin() * reach, y + turn.cos() * reach)
        };
        (0..4).for_each(|number| self.line(corner(number), corner(number + 1)));
    }

    fn text(&self) -> String {
        // The bits of a Braille character, by column and row.
        const BITS: [[u32; 4]; 2] = [[1, 2, 4, 64], [8, 16, 32, 128]];
        let height = self.dots.len() / self.width;
        let dot = |x: usize, y: usize| self.dots.get(y * self.width + x).is_some_and(|dot| *dot);
        let mut text = String::new();
        for top in (0..height).step_by(4) {
            for left in (0..self.width).step_by(2) {
                let mut bits = 0;
                for (column, rows) in BITS.iter().enumerate() {
                    for (row, bit) in rows.iter().enumerate() {
                        if left + column < self.width && dot(left + column, top + row) {
                            bits |= bit;
                        }
                    }
                }
                text.push(char::from_u32(0x2800 + bits).unwrap_or(' '));
            }
            text.push('\n');
        }
        text
    }
}

fn draw(columns: usize, per_row: usize, rows: usize) -> String {
    let width = columns * 2;
    let padding = if width > 4 { 2.0 } else { 0.0 };
    let side = (width as f64 - padding * 2.0) / per_row as f64;
    let mut canvas = Canvas::new(width, (side * rows as f64 + padding * 2.0) as usize + 1);
    let chance = || rng::below(1000) as f64 / 1000.0;
    for row in 0..rows {
        for column in 0..per_row {
            let mut x = column as f64 * side + side / 2.0 + padding;
            let mut y = row as f64 * side + side / 2.0 + padding;
            let mut angle = 0.0;
            if row > 1 {
                let disorder = row as f64 / rows as f64;
                angle = (chance() - chance()) * disorder;
                x += (chance() - chance()) * disorder * side / 3.0;
                y += (chance() - chance()) * disorder * side / 3.0;
            }
            canvas.square(x, y, side, angle);
        }
    }
    canvas.text()
}

/// `LOLWUT [VERSION version [columns [squares-per-row [rows]]]]`
pub fn lolwut(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let named = args.get(1).is_some_and(|word| is(word, "version")) && args.len() >= 3;
    let version = if named { parse::int(args.at(2))? } else { 5 };
    let mut text = String::new();
    if version == 5 || version == 6 {
        let first = if named { 3 } else { 1 };
        let number = |at: usize, default: usize, most: i64| match args.get(first + at) {
            Some(word) => parse::int(word).map(|n| n.clamp(1, most) as usize),
            None => Ok(default),
        };
        let (columns, per_row, rows) =
            (number(0, COLUMNS, 1000)?, number(1, PER_ROW, 200)?, number(2, ROWS, 200)?);
        text = draw(columns, per_row, rows);
        text.push_str("\nGeorg Nees - schotter, plotter on paper, 1968. ");
    }
    text.push_str(&format!("Redis ver. {}\n", crate::VERSION));
    ctx.out.verbatim(text.as_bytes());
    Ok(())
}
