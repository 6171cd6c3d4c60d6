// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Accounting;

/// <summary>Where a design comes from: provenance as data, printed by `memcgnative list`.</summary>
/// <param name="author">Who posted it.</param>
/// <param name="date">ISO date of the posting or the merge.</param>
/// <param name="subject">Subject of the series.</param>
/// <param name="fate">What became of it.</param>
[AttributeUsage(AttributeTargets.Struct)]
public sealed class PatchSeriesAttribute(string author, string date, string subject, string fate) : Attribute
{
    /// <summary>Who posted it.</summary>
    public string Author => author;
    /// <summary>ISO date.</summary>
    public string Date => date;
    /// <summary>Subject of the series.</summary>
    public string Subject => subject;
    /// <summary>What became of it.</summary>
    public string Fate => fate;
}
