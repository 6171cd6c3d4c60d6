// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Allocator;

/// <summary>Memory of the process heap, placed nowhere in particular: for tests, where only the logic counts.</summary>
public sealed unsafe class PlainMemory : IMemorySource
{
    private readonly List<nint> ranges = [];

    /// <inheritdoc/>
    public byte* Map(ReadOnlySpan<MemoryPart> parts, MemoryUse use)
    {
        nuint bytes = 0;
        foreach (MemoryPart part in parts) bytes += part.Bytes;
        void* range = NativeMemory.AlignedAlloc(bytes, MemMap.FrameBytes);
        NativeMemory.Clear(range, bytes);
        ranges.Add((nint)range);
        return (byte*)range;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (nint range in ranges) NativeMemory.AlignedFree((void*)range);
        ranges.Clear();
    }
}
