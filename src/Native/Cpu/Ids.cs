// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>A logical CPU as the operating system numbers it; sparse, may exceed 1024.</summary>
public readonly record struct CpuId(int Value) : IComparable<CpuId>
{
    /// <inheritdoc/>
    public int CompareTo(CpuId other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Order by number.</summary>
    public static bool operator <(CpuId a, CpuId b) => a.Value < b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator >(CpuId a, CpuId b) => a.Value > b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator <=(CpuId a, CpuId b) => a.Value <= b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator >=(CpuId a, CpuId b) => a.Value >= b.Value;
}

/// <summary>A memory node as the operating system numbers it; sparse: node 0 need not exist.</summary>
public readonly record struct NodeId(int Value) : IComparable<NodeId>
{
    /// <inheritdoc/>
    public int CompareTo(NodeId other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Order by number.</summary>
    public static bool operator <(NodeId a, NodeId b) => a.Value < b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator >(NodeId a, NodeId b) => a.Value > b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator <=(NodeId a, NodeId b) => a.Value <= b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator >=(NodeId a, NodeId b) => a.Value >= b.Value;
}
