// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Accounting;

/// <summary>
/// A design that announces itself: `list axes` shows it, -M takes it, and the rules, the explorer's cases and the torture that hold for its whole axis run
/// on it. Its other line is in bench/Matrix. For types without type arguments; answers made of parts (a counter and its lock) are named in <see cref="Eras"/>.
/// </summary>
/// <param name="axis">The question it answers.</param>
/// <param name="name">What -M axis=name takes.</param>
/// <param name="what">One line for `memcgnative list axes`.</param>
[AttributeUsage(AttributeTargets.Struct)]
public sealed class AnswerAttribute(Axis axis, string name, string what) : Attribute
{
    /// <summary>What Eras knows of it.</summary>
    public Answer Answer { get; } = new(axis, name, what);
}

/// <summary>The designs that announce themselves.</summary>
public static class Announced
{
    /// <summary>By name.</summary>
    public static IReadOnlyList<(Type Design, Answer Answer)> All { get; } =
    [
        .. from type in typeof(AnswerAttribute).Assembly.GetTypes()
           from mark in (AnswerAttribute[])type.GetCustomAttributes(typeof(AnswerAttribute), false)
           orderby mark.Answer.Name
           select (type, mark.Answer),
    ];

    /// <summary>The types of one axis.</summary>
    public static IEnumerable<Type> Of(Axis axis) => All.Where(a => a.Answer.Axis == axis).Select(a => a.Design);
}
