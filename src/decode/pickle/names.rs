//! The names of the Python objects that are understood. What is not in this table is refused.

use super::globals::Global;

/// What it is, the modules and the names.
type Names = (Global, &'static [&'static str], &'static [&'static str]);

/// Every pair of names that is accepted: any of the modules with any of the names. Protocols 0 to 2 write
/// `__builtin__` for `builtins`; numpy 2 writes `numpy._core` for `numpy.core`; pandas 3 writes the public module for
/// the one in which a class is defined.
pub const NAMES: &[Names] = &[
    (Global::Encode, &["_codecs"], &["encode"]),
    (Global::EmptyBytes, BUILTINS, &["bytes"]),
    (Global::ByteArray, BUILTINS, &["bytearray"]),
    (Global::Set, BUILTINS, &["set"]),
    (Global::FrozenSet, BUILTINS, &["frozenset"]),
    (Global::GetAttr, BUILTINS, &["getattr"]),
    (Global::Slice, BUILTINS, &["slice"]),
    (Global::BaseObject, BUILTINS, &["object"]),
    (Global::Reconstructor, &["copy_reg"], &["_reconstructor"]),
    (Global::Decimal, &["decimal"], &["Decimal"]),
    (Global::OrderedDict, &["collections"], &["OrderedDict"]),
    (Global::DateTime, &["datetime"], &["datetime"]),
    (Global::DateOrTime, &["datetime"], &["date", "time"]),
    (Global::TimeDelta, &["datetime"], &["timedelta"]),
    (Global::TimeZone, &["datetime"], &["timezone"]),
    (Global::PytzUtc, &["pytz"], &["_UTC"]),
    (Global::PytzZone, &["pytz"], &["_p"]),
    (Global::PytzOffset, &["pytz"], &["FixedOffset", "_FixedOffset"]),
    (Global::ZoneInfo, &["zoneinfo"], &["ZoneInfo"]),
    (Global::ZoneInfoUnpickle, &["zoneinfo"], &["ZoneInfo._unpickle"]),
    (Global::NdArray, &["numpy"], &["ndarray"]),
    (Global::Dtype, &["numpy"], &["dtype"]),
    (Global::Reconstruct, &["numpy.core.multiarray", "numpy._core.multiarray"], &["_reconstruct"]),
    (Global::Scalar, &["numpy.core.multiarray", "numpy._core.multiarray"], &["scalar"]),
    (Global::FromBuffer, &["numpy.core.numeric", "numpy._core.numeric"], &["_frombuffer"]),
    (Global::NotAvailable, &["pandas._libs.missing", "pandas"], &["NA"]),
    (Global::NotATime, &["pandas._libs.tslibs.nattype"], &["_nat_unpickle", "__nat_unpickle"]),
    (Global::Timestamp, &["pandas._libs.tslibs.timestamps"], &["_unpickle_timestamp", "Timestamp"]),
    (Global::Timedelta, &["pandas._libs.tslibs.timedeltas"], &["_timedelta_unpickle", "Timedelta"]),
    (Global::Frame, &["pandas.core.frame", "pandas"], &["DataFrame"]),
    (Global::Series, &["pandas.core.series", "pandas"], &["Series"]),
    (Global::BlockManager, &["pandas.core.internals.managers"], &["BlockManager", "SingleBlockManager"]),
    (Global::UnpickleBlock, &["pandas._libs.internals"], &["_unpickle_block"]),
    (Global::Partial, &["functools"], &["partial"]),
    (Global::NewBlock, &["pandas.core.internals.blocks"], &["new_block"]),
    (Global::NewIndex, &["pandas.core.indexes.base"], &["_new_Index"]),
    (Global::NewIndex, &["pandas.core.indexes.datetimes"], &["_new_DatetimeIndex"]),
    (Global::NewIndex, &["pandas.core.indexes.timedeltas"], &["_new_TimedeltaIndex"]),
    (Global::Index, &["pandas.core.indexes.base"], &["Index"]),
    (Global::Index, &["pandas.core.indexes.range"], &["RangeIndex"]),
    (Global::Index, &["pandas.core.indexes.multi"], &["MultiIndex"]),
    (Global::Index, &["pandas.core.indexes.category"], &["CategoricalIndex"]),
    (Global::Index, &["pandas.core.indexes.datetimes"], &["DatetimeIndex"]),
    (Global::Index, &["pandas.core.indexes.timedeltas"], &["TimedeltaIndex"]),
    (Global::Index, &["pandas.core.indexes.numeric"], &["Int64Index", "UInt64Index", "Float64Index"]),
    (Global::Index, &["pandas"], &["Index", "RangeIndex", "MultiIndex", "CategoricalIndex"]),
    (Global::Index, &["pandas"], &["DatetimeIndex", "TimedeltaIndex"]),
    (Global::Masked, &["pandas.core.arrays.integer", "pandas.arrays"], &["IntegerArray"]),
    (Global::Masked, &["pandas.core.arrays.floating", "pandas.arrays"], &["FloatingArray"]),
    (Global::Masked, &["pandas.core.arrays.boolean", "pandas.arrays"], &["BooleanArray"]),
    (Global::Categorical, &["pandas.core.arrays.categorical", "pandas"], &["Categorical"]),
    (Global::Backed, &["pandas.core.arrays.string_", "pandas.arrays"], &["StringArray"]),
    (Global::Backed, &["pandas.core.arrays.string_"], &["StringArrayNumpySemantics"]),
    (Global::Backed, &["pandas.core.arrays.datetimes", "pandas.arrays"], &["DatetimeArray"]),
    (Global::Backed, &["pandas.core.arrays.timedeltas", "pandas.arrays"], &["TimedeltaArray"]),
    (Global::UnpickleBacked, &["pandas._libs.arrays"], &["__pyx_unpickle_NDArrayBacked"]),
    (Global::ArrowBacked, &["pandas.core.arrays.string_arrow", "pandas.arrays"], &["ArrowStringArray"]),
    (Global::ArrowBacked, &["pandas.core.arrays.string_arrow"], &["ArrowStringArrayNumpySemantics"]),
    (Global::ArrowBacked, &["pandas.core.arrays.arrow.array", "pandas.arrays"], &["ArrowExtensionArray"]),
    (Global::CategoricalDtype, &["pandas.core.dtypes.dtypes", "pandas"], &["CategoricalDtype"]),
    (Global::Description, &["pandas.core.dtypes.dtypes", "pandas"], &["DatetimeTZDtype", "ArrowDtype"]),
    (Global::Description, &["pandas.core.arrays.arrow.dtype"], &["ArrowDtype"]),
    (Global::Description, &["pandas.core.arrays.string_", "pandas"], &["StringDtype"]),
    (Global::Description, &["pandas.core.arrays.boolean", "pandas"], &["BooleanDtype"]),
    (Global::Description, &["pandas.core.arrays.floating", "pandas"], &["Float32Dtype", "Float64Dtype"]),
    (Global::Description, &["pandas.core.arrays.integer", "pandas"], INTEGER_DTYPES),
    (Global::Description, &["pandas._libs.tslibs.offsets", "pandas.tseries.offsets"], FREQUENCIES),
    (Global::RestoreArray, &["pyarrow.lib"], &["_restore_array"]),
    (Global::ChunkedArray, &["pyarrow.lib"], &["chunked_array"]),
    (Global::PyBuffer, &["pyarrow.lib"], &["py_buffer"]),
    (Global::TypeForAlias, &["pyarrow.lib"], &["type_for_alias"]),
    (Global::ArrowTimestamp, &["pyarrow.lib"], &["timestamp"]),
];

const BUILTINS: &[&str] = &["builtins", "__builtin__"];

const INTEGER_DTYPES: &[&str] =
    &["Int8Dtype", "Int16Dtype", "Int32Dtype", "Int64Dtype", "UInt8Dtype", "UInt16Dtype", "UInt32Dtype", "UInt64Dtype"];

/// An index of times may be regular.
const FREQUENCIES: &[&str] =
    &["Nano", "Micro", "Milli", "Second", "Minute", "Hour", "Day", "Week", "MonthBegin", "MonthEnd"];
