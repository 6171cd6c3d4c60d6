// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;
using MemcgNative.Native.Win32;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Sizes and offsets of Windows' structs on 64 bits (winnt.h, psapi.h, sysinfoapi.h), the same on every system that compiles them.</summary>
public sealed unsafe class Win32LayoutTests
{
    [Fact]
    public void Sizes_are_those_of_the_headers()
    {
        Assert.Equal(8, sizeof(HANDLE));
        Assert.Equal(4, sizeof(BOOL));
        Assert.Equal(16, sizeof(MEM_EXTENDED_PARAMETER));
        Assert.Equal(24, sizeof(MEM_ADDRESS_REQUIREMENTS));
        Assert.Equal(16, sizeof(WIN32_MEMORY_RANGE_ENTRY));
        Assert.Equal(8, sizeof(PSAPI_WORKING_SET_EX_BLOCK));
        Assert.Equal(16, sizeof(PSAPI_WORKING_SET_EX_INFORMATION));
        Assert.Equal(16, sizeof(GROUP_AFFINITY));
        Assert.Equal(4, sizeof(PROCESSOR_NUMBER));
        Assert.Equal(48, sizeof(SYSTEM_INFO));
        Assert.Equal(8, sizeof(LUID));
        Assert.Equal(12, sizeof(LUID_AND_ATTRIBUTES));
        Assert.Equal(16, sizeof(TOKEN_PRIVILEGES));
        Assert.Equal(144, sizeof(Rusage));
    }

    [Theory]
    [InlineData(typeof(MEM_EXTENDED_PARAMETER), "Anonymous2", 8)]
    [InlineData(typeof(MEM_ADDRESS_REQUIREMENTS), "Alignment", 16)]
    [InlineData(typeof(PSAPI_WORKING_SET_EX_INFORMATION), "VirtualAttributes", 8)]
    [InlineData(typeof(GROUP_AFFINITY), "Group", 8)]
    [InlineData(typeof(GROUP_AFFINITY), "Reserved", 10)]
    [InlineData(typeof(PROCESSOR_NUMBER), "Number", 2)]
    [InlineData(typeof(SYSTEM_INFO), "dwPageSize", 4)]
    [InlineData(typeof(SYSTEM_INFO), "dwActiveProcessorMask", 24)]
    [InlineData(typeof(SYSTEM_INFO), "dwAllocationGranularity", 40)]
    [InlineData(typeof(SYSTEM_INFO), "wProcessorRevision", 46)]
    [InlineData(typeof(LUID_AND_ATTRIBUTES), "Attributes", 8)]
    [InlineData(typeof(TOKEN_PRIVILEGES), "Privileges", 4)]
    [InlineData(typeof(Rusage), "MinorFaults", 64)]
    [InlineData(typeof(Rusage), "VoluntarySwitches", 128)]
    public void Fields_lie_where_the_headers_put_them(Type type, string field, int offset) => Assert.Equal(offset, (int)Marshal.OffsetOf(type, field));

    [Fact]
    public void The_extended_parameter_keeps_its_type_in_the_low_byte()
    {
        MEM_EXTENDED_PARAMETER p = default;
        p.Type = (ulong)MEM_EXTENDED_PARAMETER_TYPE.MemExtendedParameterNumaNode;
        p.ULong = 5;
        ulong* words = (ulong*)Unsafe.AsPointer(ref p);
        Assert.Equal((2ul, 5ul), (words[0], words[1]));
    }

    [Theory]
    [InlineData(0u, false, 0, false)]
    [InlineData(0x1u, true, 0, false)]
    [InlineData(0x0005_0001u, true, 5, false)]
    [InlineData(0x00bf_8003u, true, 63, true)]
    public void A_working_set_entry_tells_valid_node_and_large_page(uint flags, bool valid, int node, bool large) =>
        Assert.Equal((valid, new NodeId(node), large), Placement.Decode(flags));
}
