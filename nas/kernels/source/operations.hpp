// The library's OpenVINO operations.
#pragma once

#include <mutex>

#include <openvino/op/op.hpp>
#include <openvino/runtime/tensor.hpp>

#include "kernels.hpp"

namespace measured_nas {

// Inputs: x (N, inputs, …), values, columns, starts, bias (see SparseLayer). Output: (N, outputs, …). Channels last, both
// are (…, inputs) and (…, outputs).
class SparseConvolution : public ov::op::Op {
public:
    OPENVINO_OP("SparseConvolution", "measured_nas");
    SparseConvolution() = default;
    void validate_and_infer_types() override;
    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
    bool visit_attributes(ov::AttributeVisitor& visitor) override;
    bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;
    bool has_evaluate() const override { return true; }

private:
    int64_t m_outputs = 0, m_rows = 1, m_width = 0;
    bool m_channels_last = false;
    std::string m_activation = "none", m_instruction_set;
};

// Inputs: x (N, channels, height, width), weights (channels, kernel height, kernel width), bias (channels).
class DepthwiseConvolution : public ov::op::Op {
public:
    OPENVINO_OP("DepthwiseConvolution", "measured_nas");
    DepthwiseConvolution() = default;
    void validate_and_infer_types() override;
    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
    bool visit_attributes(ov::AttributeVisitor& visitor) override;
    bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;
    bool has_evaluate() const override { return true; }

private:
    // Of weights that are constant, computed when they are first used.
    struct Spectrum {
        std::once_flag written;
        ov::Tensor values;
    };
    const float* spectrum_of(const DepthwiseLayer& layer, const InstructionSet& kernels) const;

    int64_t m_stride = 1;
    std::vector<int64_t> m_pads_begin{0, 0}, m_pads_end{0, 0};
    bool m_fourier = false;
    std::string m_activation = "none", m_instruction_set;
    std::shared_ptr<Spectrum> m_spectrum;
};

}  // namespace measured_nas
