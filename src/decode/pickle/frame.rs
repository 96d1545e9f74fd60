//! DataFrames. A frame is a manager of blocks; a block is an array whose rows are columns of the frame, and a placement
//! that says which. Format: `DataFrame.__getstate__`, `BlockManager.__setstate__` (pandas 1.0 to 1.2) and
//! `BlockManager.__reduce__` (since), and `_unpickle_block`.

use super::super::Shape;
use super::super::error::{Fault, PickleFault};
use super::super::fields::{FieldId, StateKey};
use super::super::rows::Rows;
use super::column::{Column, Resolver};
use super::globals::Global;
use super::machine::Machine;
use super::objects::{Object, count};
use super::value::Value;

fn bad(what: &'static str) -> Fault {
    PickleFault::BadObject(what).into()
}

/// A block's array and its placement.
type Block = (Value, Value);

impl Machine<'_> {
    /// The columns of a DataFrame that count, as rows. Its index is not looked at.
    pub(super) fn read_frame(&mut self, frame: Object, rows: &mut Rows) -> Result<Shape, Fault> {
        let (columns, length) = self.resolver().frame(frame)?;
        self.read_rows(&columns, length, rows)?;
        Ok(if length == 0 { Shape::Empty } else { Shape::DataFrame })
    }

    pub(super) fn resolver(&mut self) -> Resolver<'_> {
        Resolver { store: &mut self.store, fields: self.fields, limits: self.limits }
    }
}

impl Resolver<'_> {
    /// The columns that count and the number of rows.
    fn frame(&mut self, frame: Object) -> Result<(Vec<(FieldId, Column)>, usize), Fault> {
        let manager = self.manager(frame)?;
        let (blocks, axes) = self.blocks(manager)?;
        let length = self.length(&blocks)?;
        let Some(labels) = self.labels(axes)? else { return Ok((Vec::new(), length)) };
        // Checked before any placement is read, as blocks may share a long one.
        let mut widths = 0usize;
        for &(values, _) in &blocks {
            widths = widths.saturating_add(self.width(values)?);
        }
        if widths != labels.length {
            return Err(bad("a DataFrame whose blocks do not fit its columns"));
        }
        let mut columns = Vec::new();
        for (position, field) in self.known_positions(&labels)? {
            let mut found = None;
            for &(values, placement) in &blocks {
                if let Some(row) = self.place(placement, self.width(values)?, position)?
                    && found.replace((values, row)).is_some()
                {
                    return Err(bad("a DataFrame of which two blocks hold one column"));
                }
            }
            let (values, row) = found.ok_or_else(|| bad("a DataFrame of which no block holds a column"))?;
            let column = self.column(values, row)?.ok_or_else(|| bad("a block without values"))?;
            if column.length != length {
                return Err(bad("a DataFrame whose columns are not equally long"));
            }
            columns.push((field, column.of_pandas()));
        }
        Ok((columns, length))
    }

    /// How many columns a block holds. pandas' own arrays, where they do not show it, are of one.
    pub(super) fn width(&self, values: Value) -> Result<usize, Fault> {
        Ok(self.extent(values)?.map_or(1, |extent| extent.0))
    }

    /// The length that all blocks have which show one.
    fn length(&mut self, blocks: &[Block]) -> Result<usize, Fault> {
        let mut length = None;
        for &(values, _) in blocks {
            let Some((_, extent)) = self.extent(values)? else { continue };
            if length.replace(extent).is_some_and(|length| length != extent) {
                return Err(bad("a DataFrame whose columns are not equally long"));
            }
        }
        match (length, blocks.first()) {
            (Some(length), _) => Ok(length),
            (None, None) => Ok(0),
            (None, Some(&(values, _))) => Ok(self.column(values, 0)?.map_or(0, |column| column.length)),
        }
    }

    /// The names of the columns. `None` when they have none: the index is a range or has several levels.
    pub(super) fn labels(&mut self, axes: Value) -> Result<Option<Column>, Fault> {
        let index = self.store.element(axes, 0).and_then(|axis| self.store.object(axis));
        let index =
            index.filter(|index| index.class == Global::NewIndex).ok_or_else(|| bad("a DataFrame without columns"))?;
        match self.index_data(index) {
            Some(data) => self.column(data, 0),
            None => Ok(None),
        }
    }

    /// Where the fields that count stand among the columns. Of a name that occurs twice the last one counts.
    fn known_positions(&mut self, labels: &Column) -> Result<Vec<(usize, FieldId)>, Fault> {
        self.store.budget.repeat(labels.length)?;
        let mut positions: Vec<(usize, FieldId)> = Vec::new();
        for position in 0..labels.length {
            self.store.begin_scratch();
            let field = match labels.value(position, self.store, self.limits.text_bytes_max)? {
                Value::Field(field) => Some(field),
                // A long text that many labels share is not looked at for each.
                Value::Text(span) | Value::OldText(span) if span.length as usize <= self.fields.name_bytes_max => {
                    self.fields.find(self.store.bytes(span))
                }
                _ => None,
            };
            self.store.end_scratch();
            let Some(field) = field.filter(|&field| self.fields.of_row().any(|known| known == field)) else { continue };
            positions.retain(|known| known.1 != field);
            positions.push((position, field));
        }
        Ok(positions)
    }

    /// Which row of a block of `width` rows is the column at `position`.
    pub(super) fn place(&mut self, placement: Value, width: usize, position: usize) -> Result<Option<usize>, Fault> {
        let slice = self.store.object(placement).filter(|object| object.class == Global::Slice);
        if let Some(slice) = slice {
            let part = |index| self.store.element(slice.arguments, index);
            let (Some(Value::Int(start)), step) = (part(0), part(2)) else {
                return Err(bad("a block without a placement"));
            };
            let step = match step {
                Some(Value::Int(step)) if step != 0 => i128::from(step),
                Some(Value::None) => 1,
                _ => return Err(bad("a block without a placement")),
            };
            let distance = position as i128 - i128::from(start);
            let row = (distance % step == 0).then_some(distance / step).and_then(|row| usize::try_from(row).ok());
            return Ok(row.filter(|&row| row < width));
        }
        let places = self.column(placement, 0)?.ok_or_else(|| bad("a block without a placement"))?;
        if places.length != width {
            return Err(bad("a block whose placement does not fit it"));
        }
        self.store.budget.repeat(places.length)?;
        for row in 0..places.length {
            if count(places.value(row, self.store, self.limits.text_bytes_max)?) == Some(position) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// A frame's or a series' manager of blocks.
    pub fn manager(&self, of: Object) -> Result<Object, Fault> {
        let keys = [StateKey::Manager, StateKey::Data];
        let manager = keys.into_iter().find_map(|key| self.store.entry(of.state, key, self.fields));
        let manager = manager.and_then(|manager| self.store.object(manager));
        manager.filter(|it| it.class == Global::BlockManager).ok_or_else(|| bad("a DataFrame without its blocks"))
    }

    /// The blocks of a manager, and its axes.
    pub fn blocks(&mut self, manager: Object) -> Result<(Vec<Block>, Value), Fault> {
        let without = || bad("a DataFrame without its blocks");
        let versions = self.store.element(manager.state, 3);
        if let Some(state) = versions.and_then(|versions| self.store.entry(versions, StateKey::Version, self.fields)) {
            let part = |of: Value, key| self.store.entry(of, key, self.fields).ok_or_else(without);
            let blocks = part(state, StateKey::Blocks)?;
            let axes = part(state, StateKey::Axes)?;
            self.charge_blocks(blocks)?;
            let part = |of: Value, key| self.store.entry(of, key, self.fields).ok_or_else(without);
            let blocks = (0..self.store.elements(blocks).unwrap_or(0)).map(|index| {
                let block = self.store.element(blocks, index).ok_or_else(without)?;
                Ok((part(block, StateKey::Values)?, part(block, StateKey::Placement)?))
            });
            return Ok((blocks.collect::<Result<_, Fault>>()?, axes));
        }
        let argument = |index| self.store.element(manager.arguments, index).ok_or_else(without);
        let (blocks, axes) = (argument(0)?, argument(1)?);
        self.charge_blocks(blocks)?;
        let listed =
            (0..self.store.elements(blocks).unwrap_or(0)).filter_map(|index| self.store.element(blocks, index));
        // The manager of a series has the one.
        let blocks = listed.chain(matches!(blocks, Value::Object(_)).then_some(blocks)).map(|block| {
            let block =
                self.store.object(block).filter(|block| block.class == Global::UnpickleBlock).ok_or_else(without)?;
            let part = |index| self.store.element(block.arguments, index).ok_or_else(without);
            Ok((part(0)?, part(1)?))
        });
        Ok((blocks.collect::<Result<_, Fault>>()?, axes))
    }

    /// A list may hold the same block many times over.
    fn charge_blocks(&mut self, blocks: Value) -> Result<(), Fault> {
        let blocks = self.store.elements(blocks).unwrap_or(0);
        // Twofold, as they may be while they are gathered.
        self.store.budget.charge_scattered(blocks.saturating_mul(2 * size_of::<Block>()))
    }
}
