// SPDX-License-Identifier: GPL-2.0-only
using System.Reflection;
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>The assemblies of src that are here; a room without code yet has one too.</summary>
internal static class SourceAssemblies
{
    public static IEnumerable<Type> Types() =>
        new[] { "MemcgNative.Native", "MemcgNative.Allocator", "MemcgNative.Accounting" }.SelectMany(name => Assembly.Load(name).GetTypes());
}

/// <summary>House rule: a field that two CPUs may touch is a cell, because only cells call Machine and the explorer sees nothing else.</summary>
internal static class SharedStates
{
    private static readonly Type[] Cells =
        [typeof(AtomicByte), typeof(AtomicInt), typeof(AtomicLong), typeof(AtomicPtr<>), typeof(Guarded<>), typeof(GuardedPtr<>)];

    public static bool IsMarked(Type type) => type.IsValueType && type.IsDefined(typeof(SharedStateAttribute), false);

    public static IEnumerable<string> Offences(IEnumerable<Type> types) =>
        from type in types
        where IsMarked(type) && !IsCell(type)
        from field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
        where !IsAllowed(field.FieldType)
        select $"{type.Name}.{field.Name} is a {field.FieldType.Name}: make it a cell (Guarded<T> when a lock or exclusivity guards it)";

    private static bool IsAllowed(Type type) => IsCell(type) || IsMarked(type) || IsArrayOfAllowed(type);

    private static bool IsCell(Type type) => Cells.Contains(type.IsGenericType ? type.GetGenericTypeDefinition() : type);

    private static bool IsArrayOfAllowed(Type type) =>
        type.IsDefined(typeof(InlineArrayAttribute), false)
        && type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).All(f => IsAllowed(f.FieldType));
}
