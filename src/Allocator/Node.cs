// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// A memory node: its zone and its zonelist, one 4 KiB page on the node itself. Linux: pg_data_t, include/linux/mmzone.h, with one zone.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = ZonelistOffset)]
public unsafe struct Node
{
    /// <summary>Bytes reserved per node, zonelist included.</summary>
    public const int Bytes = 4096;
    private const int ZonelistOffset = 576;
    /// <summary>Nodes a zonelist has room for.</summary>
    public const int MaxCount = (Bytes - ZonelistOffset) / 8;

    /// <summary>The only zone; first, so that it shares the node's address.</summary>
    [FieldOffset(0)] public Zone Zone;
    /// <summary>I: the node's number; sparse. A fake node has one that the hardware does not know.</summary>
    [FieldOffset(512)] public Guarded<int> Number;
    /// <summary>I: the hardware node its memory lies on.</summary>
    [FieldOffset(516)] public Guarded<int> Physical;
    /// <summary>I: dense index.</summary>
    [FieldOffset(520)] public Guarded<int> Index;
    /// <summary>I: nodes in the zonelist.</summary>
    [FieldOffset(524)] public Guarded<int> NrFallback;

    /// <summary>I: the i-th node to try, this one first.</summary>
    public static GuardedPtr<Node>* Fallback(Node* node, int i) => (GuardedPtr<Node>*)((byte*)node + ZonelistOffset) + i;
}
