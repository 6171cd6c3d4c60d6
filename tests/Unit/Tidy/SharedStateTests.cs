// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public class SharedStateTests
{
    [Fact]
    public void Every_field_of_a_shared_struct_is_a_cell()
    {
        Assert.True(SourceAssemblies.Types().Count(SharedStates.IsMarked) > 6); // the cells alone are six
        Offences.None(SharedStates.Offences(SourceAssemblies.Types()));
    }

    [Fact]
    public void A_plain_field_in_a_shared_struct_is_caught_and_an_inline_array_of_cells_is_not()
    {
        Assert.StartsWith("BustedShared.Plain is a Int64", Assert.Single(SharedStates.Offences([typeof(BustedShared)])), StringComparison.Ordinal);
        Assert.Equal(2, SharedStates.Offences([typeof(BustedArray)]).Count());
    }

#pragma warning disable CS0649, CS0169, IDE0044, IDE0051 // the samples are looked at, never used
    [SharedState]
    private struct BustedShared
    {
        public AtomicInt Cell;
        public LockWord Nested;
        public Four Array;
        public long Plain;
    }

    [SharedState]
    private unsafe struct BustedArray
    {
        public fixed int Raw[4];
        public FourInts Ints;
    }

    [InlineArray(4)]
    private struct Four { private AtomicInt element; }

    [InlineArray(4)]
    private struct FourInts { private int element; }
#pragma warning restore CS0649, CS0169, IDE0044, IDE0051
}
